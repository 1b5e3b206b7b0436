//! Alerts.

super::registry! {
    /// The description of an alert (RFC 8446, 6; the older ones RFC 5246, 7.2 and RFC 6101, 5.4).
    Alert(u8), "2", "TLS alert";
    0 => "close_notify",
    10 => "unexpected_message",
    20 => "bad_record_mac",
    21 => "decryption_failed",
    22 => "record_overflow",
    30 => "decompression_failure",
    40 => "handshake_failure",
    41 => "no_certificate",
    42 => "bad_certificate",
    43 => "unsupported_certificate",
    44 => "certificate_revoked",
    45 => "certificate_expired",
    46 => "certificate_unknown",
    47 => "illegal_parameter",
    48 => "unknown_ca",
    49 => "access_denied",
    50 => "decode_error",
    51 => "decrypt_error",
    60 => "export_restriction",
    70 => "protocol_version",
    71 => "insufficient_security",
    80 => "internal_error",
    86 => "inappropriate_fallback",
    90 => "user_canceled",
    100 => "no_renegotiation",
    109 => "missing_extension",
    110 => "unsupported_extension",
    111 => "certificate_unobtainable",
    112 => "unrecognized_name",
    113 => "bad_certificate_status_response",
    114 => "bad_certificate_hash_value",
    115 => "unknown_psk_identity",
    116 => "certificate_required",
    120 => "no_application_protocol",
}

impl Alert {
    /// Nothing more will come (RFC 8446, 6.1).
    pub const CLOSE_NOTIFY: Self = Self(0);
    /// Not what the server waits for, it says (RFC 8446, 6.2).
    pub const UNEXPECTED_MESSAGE: Self = Self(10);
    /// Bytes that the server cannot read, it says (RFC 8446, 6.2).
    pub const DECODE_ERROR: Self = Self(50);
    /// An extension is missing that must be there, it says (RFC 8446, 6.2).
    pub const MISSING_EXTENSION: Self = Self(109);
    /// The server does not know the name that it is called by (RFC 6066, 3).
    pub const UNRECOGNIZED_NAME: Self = Self(112);
    /// Nothing in common, says the server (RFC 8446, 6.2).
    pub const HANDSHAKE_FAILURE: Self = Self(40);
    /// The version alone is refused (RFC 8446, 6.2).
    pub const PROTOCOL_VERSION: Self = Self(70);
    /// Trouble of the server's own, it says (RFC 8446, 6.2).
    pub const INTERNAL_ERROR: Self = Self(80);
}
