//! The parts of a world that faults change.

/// The part of the world that a fault changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knob {
    /// When the certificate is valid.
    Validity,
    /// When its issuer is valid.
    IssuerValidity,
    /// The key.
    Key,
    /// Whether the server has the key.
    Possession,
    /// The hash of its signature.
    Signature,
    /// Who signed it, and what is sent with it.
    Chain,
    /// What the CA's own certificate says.
    Issuer,
    /// When the root is valid.
    RootValidity,
    /// The key of the root.
    RootKey,
    /// What the trust store holds.
    Anchor,
    /// How it is formed.
    Form,
    /// What it may be used for.
    Usage,
    /// What it names.
    Names,
    /// What its CN names.
    CommonName,
    /// When the second certificate is valid.
    SecondValidity,
    /// What the second certificate names.
    SecondNames,
    /// Whether the CA took a certificate back.
    Revocation,
    /// What is to be had from where certificates point.
    Publishing,
    /// The stapled OCSP response.
    Staple,
    /// The signed certificate timestamps.
    Timestamps,
    /// Whether the server presents what is on its disk.
    Reload,
    /// What DNS calls its address.
    Pointer,
    /// The greeting.
    Greeting,
    /// The name in the reply to EHLO.
    EhloName,
    /// To whom STARTTLS is offered.
    StarttlsOffer,
    /// Who gets which certificate.
    SplitView,
    /// What happens after the STARTTLS command.
    StarttlsAnswer,
    /// The keywords inside TLS.
    KeywordsInTls,
    /// Whether mail is taken without TLS.
    Enforcement,
    /// What stands before the server.
    Relay,
    /// The dialog before TLS.
    Dialog,
    /// What the TLS stack offers.
    Stack,
    /// What the name in the ClientHello does.
    Sni,
    /// Whether clients are asked for a certificate.
    ClientCertificate,
    /// What ClientHellos are borne.
    Intolerance,
    /// How fast the handshake is.
    HandshakeSpeed,
    /// How the connection ends.
    CloseNotify,
    /// Which of its addresses have which certificate.
    OwnCertificate,
    /// Which of its hosts have which key.
    SharedKey,
    /// Whether it can be reached.
    Reach,
    /// What the name servers do.
    Lookup,
    /// Which records there are.
    Records,
    /// How zones are signed and delegated.
    Signing,
    /// What the TLSA records hold.
    Tlsa,
    /// What is served as the policy.
    Policy,
    /// The policy host.
    PolicyHost,
}

impl Knob {
    /// The part of the world in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Validity => "when the certificate is valid",
            Self::IssuerValidity => "when the issuer is valid",
            Self::Key => "the key",
            Self::Possession => "whether the server has the certificate's key",
            Self::Signature => "the hash of the signature",
            Self::Chain => "who signed the certificate and what is sent with it",
            Self::Issuer => "what the certificate of the issuer says",
            Self::RootValidity => "when the root is valid",
            Self::RootKey => "the key of the root",
            Self::Anchor => "what the trust store holds",
            Self::Form => "how the certificate is formed",
            Self::Usage => "what the certificate may be used for",
            Self::Names => "what the certificate names",
            Self::CommonName => "what the CN names",
            Self::SecondValidity => "when the second certificate is valid",
            Self::SecondNames => "what the second certificate names",
            Self::Revocation => "whether the CA took a certificate back",
            Self::Publishing => "what is to be had from where certificates point",
            Self::Staple => "the stapled OCSP response",
            Self::Timestamps => "the signed certificate timestamps",
            Self::Reload => "whether the server presents what is on its disk",
            Self::Pointer => "what DNS calls the server's address",
            Self::Greeting => "the greeting",
            Self::EhloName => "the name in the reply to EHLO",
            Self::Enforcement => "whether mail is taken without TLS",
            Self::Relay => "what stands before the server",
            Self::Dialog => "what is said before TLS",
            Self::StarttlsOffer => "to whom STARTTLS is offered",
            Self::SplitView => "who gets which certificate",
            Self::StarttlsAnswer => "what happens after the STARTTLS command",
            Self::KeywordsInTls => "the keywords inside TLS",
            Self::Stack => "what TLS offers",
            Self::Sni => "what the name in the ClientHello does",
            Self::ClientCertificate => "whether clients are asked for a certificate",
            Self::Intolerance => "what ClientHellos are borne",
            Self::HandshakeSpeed => "how fast the handshake is",
            Self::CloseNotify => "how the connection ends",
            Self::OwnCertificate => "whether all addresses have one certificate",
            Self::SharedKey => "whether hosts have keys of their own",
            Self::Reach => "whether the server can be reached",
            Self::Lookup => "how the name servers answer",
            Self::Records => "which records there are",
            Self::Signing => "how zones are signed and delegated",
            Self::Tlsa => "what the TLSA records hold",
            Self::Policy => "what is served as the policy",
            Self::PolicyHost => "the policy host",
        }
    }

    /// Whether it is a part of a domain, and not of a server.
    pub fn is_of_domain(self) -> bool {
        matches!(
            self,
            Self::OwnCertificate
                | Self::SharedKey
                | Self::Reach
                | Self::Lookup
                | Self::Records
                | Self::Signing
                | Self::Tlsa
                | Self::Policy
                | Self::PolicyHost
        )
    }
}
