//! Fields that tell some caches and not others what to do: RFC 9213, such as CDN-Cache-Control.
//!
//! They are dictionaries of structured fields (RFC 9651 §3.2), so that their mistakes are judged otherwise than
//! those of Cache-Control: a field that is not well-formed is as if it were not there, and of two members with
//! one name the last counts.

use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

use super::control::{Argument, ResponseControl};
use super::lines::FieldLines;

/// What the field with this name says; `None` when it is absent, empty or not well-formed.
#[doc(alias = "CDN-Cache-Control")]
pub(super) fn read(fields: &impl FieldLines, name: &'static str) -> Option<ResponseControl> {
    let mut lines = fields.values(name);
    let mut value = lines.next()?.to_vec();
    for line in lines {
        value.push(b',');
        value.extend_from_slice(line);
    }
    let dictionary: Dictionary = Parser::new(&value).parse().ok()?;
    let mut control = ResponseControl { targeted: true, ..ResponseControl::default() };
    for (name, entry) in &dictionary {
        let ListEntry::Item(Item { bare_item, .. }) = entry else {
            control.apply(name.as_str().as_bytes(), Argument::Unfit);
            continue;
        };
        let argument = match bare_item {
            BareItem::Boolean(true) => Argument::None,
            // The opposite of a directive is none.
            BareItem::Boolean(false) => continue,
            BareItem::Integer(number) => u64::try_from(*number).map_or(Argument::Unfit, Argument::Seconds),
            BareItem::String(text) => Argument::Names(text.as_str().as_bytes()),
            BareItem::Token(text) => Argument::Names(text.as_str().as_bytes()),
            _ => Argument::Unfit,
        };
        control.apply(name.as_str().as_bytes(), argument);
    }
    (!dictionary.is_empty()).then_some(control)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use doorway_net::web::Fields;

    /// How long the response with these fields is fresh for a cache that reads two targeted fields.
    #[track_caller]
    fn check(lines: &[(&str, &str)], seconds: Option<u64>, targeted: bool) {
        let mut fields = Fields::new();
        lines.iter().for_each(|(name, value)| fields.add(*name, *value));
        let control = ResponseControl::read(&fields, &["doorway-cache-control", "cdn-cache-control"]);
        assert_eq!(control.max_age, seconds.map(Duration::from_secs), "{lines:?}");
        assert_eq!(control.targeted, targeted, "{lines:?}");
    }

    #[test]
    fn the_first_targeted_field_that_is_well_formed_counts() {
        let plain = ("Cache-Control", "max-age=1");
        check(&[plain, ("CDN-Cache-Control", "max-age=2")], Some(2), true);
        check(
            &[plain, ("CDN-Cache-Control", "max-age=2"), ("Doorway-Cache-Control", "max-age=3")],
            Some(3),
            true,
        );
        check(
            &[plain, ("CDN-Cache-Control", "max-age=2"), ("Doorway-Cache-Control", "max-age=")],
            Some(2),
            true,
        );
        check(&[plain, ("Other-Cache-Control", "max-age=2")], Some(1), false);
        check(&[plain, ("CDN-Cache-Control", "must-revalidate")], None, true);
    }

    #[test]
    fn a_targeted_field_that_is_empty_or_not_well_formed_is_passed_over() {
        for value in
            ["", " ", "max-age", "MAX-AGE=5", "max-age=5 no-store", "max-age=5,", "a b", "max-age=\"5", "&"]
        {
            let targeted = value == "max-age";
            let seconds = if targeted { 0 } else { 1 };
            check(&[("Cache-Control", "max-age=1"), ("CDN-Cache-Control", value)], Some(seconds), targeted);
        }
    }

    #[test]
    fn members_of_another_type_than_the_directive_has_make_no_lifetime() {
        for value in ["max-age=5.0", "max-age=\"5\"", "max-age=x", "max-age=(1 2)", "max-age=-5"] {
            check(&[("CDN-Cache-Control", value)], Some(0), true);
        }
        check(&[("CDN-Cache-Control", "max-age=5;x=1")], Some(5), true);
        check(&[("CDN-Cache-Control", "max-age=1, max-age=5")], Some(5), true);
        check(&[("CDN-Cache-Control", "max-age=5"), ("CDN-Cache-Control", "x=(a b)")], Some(5), true);
        check(&[("CDN-Cache-Control", "max-age=999999999999999")], Some(1 << 31), true);
    }

    #[test]
    fn directives_without_a_value_and_with_field_names_mean_what_they_mean_elsewhere() {
        let mut fields = Fields::new();
        fields.add("CDN-Cache-Control", "no-store, private=\"a, b\", no-cache=c, must-revalidate=?0");
        let control = ResponseControl::read(&fields, &["cdn-cache-control"]);
        assert!(control.no_store && !control.private && !control.no_cache && !control.must_revalidate);
        assert_eq!(control.private_fields, ["a", "b"]);
        assert_eq!(control.no_cache_fields, ["c"]);
    }
}
