//! What the CA of a scenario publishes by HTTP: what its certificates point to.

/// The web server of a CA: everything that is to be had from it.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The host in the URLs; its port is 80.
    pub host: &'static str,
    /// What is there.
    pub resources: Vec<Published>,
}

/// One thing to be had.
#[derive(Clone, Debug)]
pub struct Published {
    /// The path in the URL, with its slash.
    pub path: String,
    /// Its media type.
    pub media_type: &'static str,
    /// What the web server answers, whatever exactly it is asked.
    pub answer: WebAnswer,
}

/// An answer of a web server.
#[derive(Clone, Debug)]
pub enum WebAnswer {
    /// 200 and these bytes.
    Body(Vec<u8>),
    /// A status without a body.
    Status(u16),
    /// Nothing, for ever.
    Silence,
}
