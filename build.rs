//! The corpus and the personas are compiled in: a new file must make cargo compile again.

fn main() {
    println!("cargo:rerun-if-changed=scenarios");
    println!("cargo:rerun-if-changed=lab");
}
