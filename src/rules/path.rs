//! The certification path over the chain as it was sent.
