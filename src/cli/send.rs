//! `mtalab send`: one test message under a policy, stage by stage.

use std::{fmt::Write as _, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Args;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

use super::{
    MomentArguments, TrustArguments, check,
    exit::Failure,
    out,
    parse::{parse_endpoint, parse_mailbox, parse_patience, parse_sender},
};
use crate::{
    check::{Sent, send},
    facts::{Delivery, Depth, Observed, Speaker, Vantage},
    probe::Letter,
    senders::{self, Fate, Sender},
    smtp::{ClientName, Reply},
};

#[derive(Debug, Args)]
pub(super) struct SendArguments {
    /// The host that the message goes to, with a port if it is not 25.
    #[arg(value_name = "NAME[:PORT]")]
    target: String,
    /// Connect here instead of asking DNS.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_endpoint)]
    connect: Option<SocketAddr>,
    /// Whose policy to follow: `postfix-may`, `postfix-verify`, `exim-verify-hosts` and others.
    #[arg(long, value_name = "SENDER", value_parser = parse_sender(), default_value = "postfix-may")]
    policy: String,
    /// The sender of the message; none by default, as bounces have.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_mailbox, default_value = "")]
    from: String,
    /// The recipient of the message.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_mailbox)]
    to: String,
    /// The name, or address literal, to give in EHLO; the literal of the source by default.
    #[arg(long, value_name = "NAME")]
    ehlo: Option<ClientName>,
    /// How long to wait for the greeting and for each reply.
    #[arg(long, value_name = "DURATION", value_parser = parse_patience, default_value = "60s")]
    patience: Duration,
    /// Also show every line of the dialogs.
    #[arg(long)]
    transcript: bool,
    #[command(flatten)]
    trust: TrustArguments,
    #[command(flatten)]
    moment: MomentArguments,
}

pub(super) async fn run(arguments: SendArguments) -> Result<ExitCode, Failure> {
    let target = check::parse_target(&arguments.target)?;
    let mut notes = Vec::new();
    let address = match arguments.connect {
        Some(address) => address,
        None => check::addresses_by_system(&target, &mut notes).await?.remove(0),
    };
    let sender = senders::find(&arguments.policy).ok_or_else(|| Failure::usage("there is no such sender"))?;
    let now = arguments.moment.moment();
    let letter = letter(&arguments, now);
    let options = check::plain_options(&arguments.trust, now, arguments.patience, Depth::Quick)?;
    let vantage = Vantage { ehlo: arguments.ehlo.clone(), ..Vantage::default() };
    let sent = send(sender, &target, address, &vantage, &letter, &options).await;
    out::print(&text(sender, address, &sent, arguments.transcript));
    Ok(match sent.fate {
        Fate::Authenticated | Fate::Encrypted | Fate::Clear => ExitCode::SUCCESS,
        Fate::Defers | Fate::Bounces => ExitCode::from(1),
        Fate::Unknown => ExitCode::from(3),
    })
}

fn letter(arguments: &SendArguments, now: OffsetDateTime) -> Letter {
    let from = if arguments.from.is_empty() { "postmaster@localhost" } else { &arguments.from };
    let date = now.format(&Rfc2822).unwrap_or_default();
    let id = rand::random::<u64>();
    let text = format!(
        "Date: {date}\nFrom: {from}\nTo: {}\nMessage-ID: <{id:016x}@mtalab.invalid>\nSubject: A test of TLS\nAuto-Submitted: \
         auto-generated\n\nThis message was sent to see how it travels: the Received lines of its header tell.\n",
        arguments.to
    );
    Letter { from: arguments.from.clone(), to: arguments.to.clone(), text }
}

fn text(sender: &Sender, address: SocketAddr, sent: &Sent, with_transcript: bool) -> String {
    let mut text = format!("to {address}, as {} {} would", sender.product, sender.policy);
    for (number, delivery) in sent.attempts.iter().enumerate() {
        if number > 0 {
            text.push_str("\n\nonce more, without TLS");
        }
        stages(&mut text, delivery);
        if number == 0
            && let Some(prediction) = sent.prediction.as_ref().filter(|prediction| !prediction.why.is_empty())
        {
            stage(&mut text, "policy", &format!("{}: {}", prediction.fate.word(), prediction.why));
        }
        if with_transcript {
            for line in &delivery.session.transcript {
                let who = match line.from {
                    Speaker::Client => "C",
                    Speaker::Server => "S",
                    Speaker::Event => "*",
                };
                let _ = write!(text, "\n    {who} {}", line.text);
            }
        }
    }
    let last = sent.attempts.last();
    let result = sent.prediction.as_ref().and_then(|prediction| prediction.result_type);
    let result = result.map(|result| format!(" (RFC 8460: {})", result.id())).unwrap_or_default();
    let outcome = match sent.fate {
        Fate::Authenticated => "delivered inside TLS, to the host that was meant".to_owned(),
        Fate::Encrypted => "delivered inside TLS, to whoever answered".to_owned(),
        Fate::Clear => format!("delivered in the clear{result}"),
        Fate::Defers | Fate::Bounces => format!("not delivered: a sender would keep it and try again, or give it back{result}"),
        Fate::Unknown => {
            let why = last.map(|delivery| delivery.message.why_not()).unwrap_or_default();
            format!("not known whether the server has taken it ({why}): a sender would send it again, and it may arrive twice")
        }
    };
    let _ = write!(text, "\n\n{outcome}\nThis is one hop: how the message goes on from there is the affair of that server.");
    text
}

fn stages(text: &mut String, delivery: &Delivery) {
    let session = &delivery.session;
    if let Observed::Failed(failure) = &session.connection {
        return stage(text, "connection", &failure.to_string());
    }
    let mut reply = |name: &str, reply: &Observed<Reply>| match reply {
        Observed::Seen(reply) => stage(text, name, &reply.to_string()),
        Observed::Failed(failure) => stage(text, name, &failure.to_string()),
        Observed::NotAttempted(_) => {}
    };
    reply("greeting", &session.greeting);
    reply("STARTTLS", &session.starttls);
    match &session.tls {
        Observed::Seen(tls) => stage(text, "TLS", &format!("{}, {}", tls.version, tls.suite)),
        Observed::Failed(failure) => stage(text, "TLS", &failure.to_string()),
        Observed::NotAttempted(why) => stage(text, "TLS", why),
    }
    if let Observed::Failed(failure) = &session.ehlo {
        stage(text, "EHLO", &failure.to_string());
    }
    if let Observed::Failed(failure) = &session.ehlo_after {
        stage(text, "EHLO in TLS", &failure.to_string());
    }
    let mut reply = |name: &str, reply: &Observed<Reply>| match reply {
        Observed::Seen(reply) => stage(text, name, &reply.to_string()),
        Observed::Failed(failure) => stage(text, name, &failure.to_string()),
        Observed::NotAttempted(_) => {}
    };
    reply("MAIL", &delivery.mail);
    reply("RCPT", &delivery.recipient);
    reply("DATA", &delivery.data);
    reply("message", &delivery.message);
}

fn stage(text: &mut String, name: &str, what: &str) {
    // A failure may quote what a server sent; it is escaped, and cut here.
    let what: String = what.chars().take(300).collect();
    let _ = write!(text, "\n  {name:<12}{}", what.replace('\n', " "));
}
