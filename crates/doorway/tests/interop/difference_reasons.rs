//! Why we and llhttp say different things about a message.

/// The reason for a class of differences: `kind` is what we do, `code` the rule or error of who refuses.
pub(crate) fn reason(kind: &str, code: &str) -> Option<&'static str> {
    REASONS.iter().find(|(of, codes, _)| *of == kind && codes.contains(&code)).map(|(_, _, why)| *why)
}

const REASONS: &[(&str, &[&str], &str)] = &[
    (
        "accepted",
        &["upgrade"],
        "no refusal: Node hands such a connection over, we answer and go on (RFC 9110 §9.3.6, §7.8)",
    ),
    (
        "accepted",
        &["HPE_INVALID_CONTENT_LENGTH"],
        "whitespace behind a value is no part of it, HTAB neither (RFC 9112 §5.1)",
    ),
    (
        "accepted",
        &["HPE_INVALID_METHOD"],
        "a method is any token: one that is not known gets 501, and a proxy hands it on (RFC 9110 §9.1)",
    ),
    (
        "accepted",
        &["HPE_INVALID_VERSION"],
        "a higher minor version is read as the highest that is known (RFC 9110 §2.5)",
    ),
    (
        "accepted",
        &["HPE_INVALID_TRANSFER_ENCODING"],
        "a recipient skips empty elements of a list (RFC 9110 §5.6.1.2)",
    ),
    (
        "refused",
        &["bare_cr", "bare_lf", "method"],
        "llhttp skips any number of CR and LF before a request; we take one empty line (RFC 9112 §2.2)",
    ),
    ("refused", &["body_length"], "http.body_octets_max; Node leaves this to the application"),
    (
        "refused",
        &["chunk_size"],
        "at most 16 digits, so that no reader overflows; llhttp takes any number of zeros",
    ),
    (
        "refused",
        &["coding_last", "coding_unknown"],
        "Node leaves codings other than chunked to the application; we undo none, so that we cannot read it (RFC 9112 §6.1)",
    ),
    (
        "refused",
        &["coding_version"],
        "HTTP/1.0 has no codings, and a proxy that speaks it may not see this one (RFC 9112 §6.1)",
    ),
    ("refused", &["content_length"], "below 2^63, so that sums do not overflow; llhttp counts to 2^64"),
    ("refused", &["expect"], "417; Node leaves it to the application (RFC 9110 §10.1.1)"),
    ("refused", &["fields_count"], "128 fields; Node counts octets"),
    (
        "refused",
        &["host", "host_missing", "host_repeated"],
        "Node judges Host above its parser, or not at all (RFC 9112 §3.2)",
    ),
    ("refused", &["http_version"], "HTTP/0.9, which llhttp still reads when the version is left out"),
    ("refused", &["http_version_major"], "505 (RFC 9110 §15.6.6)"),
    (
        "refused",
        &["request_line_space"],
        "one space between the parts (RFC 9112 §3); llhttp skips more of them",
    ),
    ("refused", &["request_target"], "only the characters of a URI (RFC 9112 §3.2)"),
    ("refused", &["request_target_form"], "one of the four forms (RFC 9112 §3.2)"),
];
