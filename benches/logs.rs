//! What reading logs costs: `cargo bench --bench logs` prints the figures of docs/performance.md. A log of Postfix of one gigabyte
//! (MTALAB_LOG_MB megabytes) is written, then read by this library, by `grep -c` as the floor, and by pflogsumm where it is there.

#![expect(clippy::print_stdout, reason = "a program whose output is its figures")]

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use mtalab::logs::{MOST_PARTNERS, Reader};
use time::OffsetDateTime;

/// How many partners there are; more than have a line of their own.
const PARTNERS: u64 = 20_000;

fn main() {
    let megabytes = std::env::var("MTALAB_LOG_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(1000_u64);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mail.log");
    let messages = generate(&path, megabytes * 1_000_000);
    let bytes = path.metadata().expect("it was written").len();
    println!("{bytes} bytes, {messages} messages in and out, {PARTNERS} partners");
    let mut grep = f64::MAX;
    let mut own = f64::MAX;
    let mut peak = 0;
    // In turns, so that what else the machine does meets both.
    for _ in 0..5 {
        grep = grep.min(timed(|| {
            let found = Command::new("grep").args(["-c", "TLS connection"]).arg(&path).output().expect("grep");
            assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), (2 * messages).to_string());
        }));
        own = own.min(timed(|| {
            let mut reader = Reader::new(&[], MOST_PARTNERS);
            let now = OffsetDateTime::now_utc();
            reader.read("mail.log", now, File::open(&path).expect("it was written")).expect("a log");
            let review = reader.finish(now);
            assert_eq!(review.directions.iter().map(|summary| summary.messages.tls).sum::<u64>(), 2 * messages);
            assert_eq!(review.lines.unknown, 0, "{:?}", review.unknown_lines);
        }));
        peak = peak.max(peak_kilobytes());
    }
    let rate = |seconds: f64| megabytes_of(bytes) / seconds;
    println!("grep -c: {:.0} MB/s", rate(grep));
    println!("mtalab logs: {:.0} MB/s on one thread, {:.0} % of grep -c; peak memory {peak} KiB", rate(own), 100.0 * grep / own);
    if Command::new("pflogsumm").arg("--version").output().is_ok() {
        let seconds = timed(|| drop(Command::new("pflogsumm").arg(&path).output().expect("pflogsumm")));
        println!("pflogsumm: {:.0} MB/s", rate(seconds));
    } else {
        println!("pflogsumm: not installed");
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes_of(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The most memory that this process had, as Linux tells.
fn peak_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Ten lines for a message that comes in and goes on, as Postfix writes them.
fn generate(path: &Path, bytes: u64) -> u64 {
    let mut out = BufWriter::new(File::create(path).expect("a file"));
    let (mut written, mut number) = (0, 0_u64);
    while written < bytes {
        let (partner, other) = (number * 7919 % PARTNERS, number * 104_729 % PARTNERS);
        let (day, hour, minute, second) = (1 + number / 100_000 % 28, number / 3600 % 24, number / 60 % 60, number % 60);
        let (server, client, id) = (1000 + number % 40, 3000 + number % 60, format!("{:010X}", number * 977));
        let stamp = format!("Nov {day:2} {hour:02}:{minute:02}:{second:02} mx1");
        let session = "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256";
        let from = format!("mail.p{partner}.test[192.0.2.{}]", partner % 250);
        let to = format!("mx.p{other}.test[198.51.100.{}]:25", other % 250);
        let text = format!(
            "{stamp} postfix/smtpd[{server}]: connect from {from}\n\
             {stamp} postfix/smtpd[{server}]: Anonymous TLS connection established from {from}: {session}\n\
             {stamp} postfix/smtpd[{server}]: {id}: client={from}\n\
             {stamp} postfix/cleanup[{client}]: {id}: message-id=<{number}.1764400000@mail.p{partner}.test>\n\
             {stamp} postfix/qmgr[20]: {id}: from=<user{number}@p{partner}.test>, size=24211, nrcpt=1 (queue active)\n\
             {stamp} postfix/smtpd[{server}]: disconnect from {from} ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7\n\
             {stamp} postfix/smtp[{client}]: Trusted TLS connection established to {to}: {session}\n\
             {stamp} postfix/smtp[{client}]: {id}: to=<user@p{other}.test>, relay={to}, delay=0.61, delays=0.02/0.02/0.31/0.26, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 4R1ZxM2qz9z3yV)\n\
             {stamp} postfix/qmgr[20]: {id}: removed\n\
             {stamp} CRON[{client}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n"
        );
        out.write_all(text.as_bytes()).expect("room on the disk");
        written += u64::try_from(text.len()).unwrap_or(0);
        number += 1;
    }
    out.flush().expect("room on the disk");
    number
}
