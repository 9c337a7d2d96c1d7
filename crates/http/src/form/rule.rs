//! The rules that a form can break, each with its name and its answer.

use crate::Status;
use crate::wire::rule::Rule;

macro_rules! rules {
    ($($name:ident = $code:literal, $status:ident, $section:literal, $text:literal;)*) => {
        $(
            #[doc = $text]
            #[doc = concat!("(", $section, ").")]
            pub static $name: Rule =
                Rule { code: $code, text: $text, section: $section, status: Status::$status };
        )*

        /// Every rule, in the order in which a form meets them.
        pub const ALL: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    MEDIA_TYPE = "form_media_type", UNSUPPORTED_MEDIA_TYPE, "RFC 9110 §8.3", "a form is application/x-www-form-urlencoded or multipart/form-data";
    BOUNDARY = "form_boundary", BAD_REQUEST, "RFC 2046 §5.1.1", "boundary = 1 to 70 of its characters, the last no space, said once";
    PARTS_COUNT = "form_parts_count", CONTENT_TOO_LARGE, "RFC 9110 §15.5.14", "the number of fields and files keeps within the limit of the server";
    FIELD_LENGTH = "form_field_length", CONTENT_TOO_LARGE, "RFC 9110 §15.5.14", "a field that is no file keeps within the limit of the server";
    PERCENT = "form_percent", BAD_REQUEST, "RFC 3986 §2.1", "pct-encoded = % HEXDIG HEXDIG";
    UTF8 = "form_utf8", BAD_REQUEST, "RFC 7578 §5.1.2", "names and values are UTF-8";
    PREAMBLE = "form_preamble", BAD_REQUEST, "RFC 2046 §5.1.1", "the first boundary comes soon";
    BOUNDARY_LINE = "form_boundary_line", BAD_REQUEST, "RFC 2046 §5.1.1", "nothing but spaces and CRLF follows a boundary";
    PART_HEAD = "form_part_head", BAD_REQUEST, "RFC 2046 §5.1", "the head of a part is made of field lines that end with CRLF";
    PART_HEAD_LENGTH = "form_part_head_length", HEADER_FIELDS_TOO_LARGE, "RFC 6585 §5", "the head of a part keeps within the limit of the server";
    DISPOSITION = "form_disposition", BAD_REQUEST, "RFC 7578 §4.2", "each part has one Content-Disposition of form-data with a name";
    TRANSFER_ENCODING = "form_transfer_encoding", BAD_REQUEST, "RFC 7578 §4.7", "a part is not coded for transfer";
    END = "form_end", BAD_REQUEST, "RFC 2046 §5.1.1", "the last boundary ends with two hyphens";
    SAME_FIELD = "form_field_count", BAD_REQUEST, "RFC 7578 §4.3", "a field that is wanted once comes once";
}
