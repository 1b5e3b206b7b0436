//! The TLSA records of a host (RFC 6698, 2.1), made of what it presents.

use sha2::{Digest as _, Sha256, Sha512};

use super::{PlanError, pki};

/// What a host presents, as far as TLSA records go.
pub(super) struct Presented<'a> {
    /// Its certificates, each with the chain behind it.
    pub chains: Vec<&'a [Vec<u8>]>,
    /// The root that the first of them leads to.
    pub root: &'a [u8],
}

/// The data of records of these parameters, for each chain; without doubles.
pub(super) fn records(parameters: &[[u8; 3]], presented: &Presented, of_root: bool) -> Result<Vec<String>, PlanError> {
    let mut found = Vec::new();
    for [usage, selector, matching] in parameters.iter().copied() {
        for chain in &presented.chains {
            let certificate = match usage {
                // Trust anchors (RFC 6698, 2.1.1): the CA nearest to the root that is sent, or the root.
                0 | 2 if !of_root => chain.get(1..).and_then(<[_]>::last).map_or(presented.root, Vec::as_slice),
                0 | 2 => presented.root,
                _ => chain.first().map_or(presented.root, Vec::as_slice),
            };
            let text = format!("{usage} {selector} {matching} {}", hex(&data(certificate, selector, matching)?));
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    Ok(found)
}

/// RFC 6698, 2.1.2 and 2.1.3. What is not defined is given the form of what is.
fn data(certificate: &[u8], selector: u8, matching: u8) -> Result<Vec<u8>, PlanError> {
    let selected = if selector == 0 { certificate.to_vec() } else { pki::public_key_info(certificate)? };
    Ok(match matching {
        0 => selected,
        2 => Sha512::digest(&selected).to_vec(),
        _ => Sha256::digest(&selected).to_vec(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
