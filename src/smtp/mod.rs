//! SMTP syntax as RFC 5321 and RFC 3207 define it, without any I/O: replies,
//! enhanced status codes, EHLO keywords, what clients call themselves. Both halves of the project use it.

mod client_name;
mod demands;
mod ehlo;
mod reply;
mod turned_away;

pub use client_name::{ClientName, ClientNameError};
pub use ehlo::{Ehlo, Keyword};
pub use reply::{EnhancedCode, Reply, ReplyError, ReplyReader};
