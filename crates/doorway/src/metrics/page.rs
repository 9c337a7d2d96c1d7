//! Writes the OpenMetrics 1.0 text format.

use std::collections::BTreeMap;
use std::time::Duration;

/// Metrics by family, in the order of their names: the samples of one family have to stand together.
#[derive(Debug, Default)]
pub(crate) struct Page {
    families: BTreeMap<String, Family>,
}

#[derive(Debug)]
struct Family {
    kind: &'static str,
    help: &'static str,
    samples: String,
}

impl Page {
    /// A number that only grows. `name` has no `_total`, which the format adds.
    pub(crate) fn counter(&mut self, name: &str, help: &'static str, labels: &[(&str, &str)], value: u64) {
        self.sample(name, "counter", help, "_total", labels, &value.to_string());
    }

    /// Time that only grows, in seconds.
    pub(crate) fn seconds(&mut self, name: &str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, "counter", help, "_total", labels, &value.to_string());
    }

    /// A number that goes up and down.
    pub(crate) fn gauge(&mut self, name: &str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.sample(name, "gauge", help, "", labels, &value.to_string());
    }

    /// How many events took how long: `counts` has one more than `bounds`, for those that took longer.
    pub(crate) fn histogram(
        &mut self,
        name: &str,
        help: &'static str,
        bounds: &[Duration],
        counts: &[u64],
        sum: Duration,
    ) {
        let mut so_far = 0;
        for (index, count) in counts.iter().enumerate() {
            so_far += count;
            let bound = bounds.get(index).map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.sample(name, "histogram", help, "_bucket", &[("le", &bound)], &so_far.to_string());
        }
        self.sample(name, "histogram", help, "_count", &[], &so_far.to_string());
        self.sample(name, "histogram", help, "_sum", &[], &sum.as_secs_f64().to_string());
    }

    fn sample(
        &mut self,
        name: &str,
        kind: &'static str,
        help: &'static str,
        suffix: &str,
        labels: &[(&str, &str)],
        value: &str,
    ) {
        let family =
            self.families.entry(name.to_owned()).or_insert(Family { kind, help, samples: String::new() });
        debug_assert_eq!(family.kind, kind, "{name} is of two kinds");
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escape(text))).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        family.samples.push_str(&format!("{name}{suffix}{braces} {value}\n"));
    }

    /// The whole page with its end mark.
    pub(crate) fn finish(self) -> String {
        let mut text = String::new();
        for (name, Family { kind, help, samples }) in self.families {
            text.push_str(&format!("# TYPE {name} {kind}\n# HELP {name} {}\n{samples}", escape(help)));
        }
        text.push_str("# EOF\n");
        text
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_family_stand_together_and_labels_are_escaped() {
        let mut page = Page::default();
        page.counter("b_things", "Things.", &[("name", "a\"b\\c\nd")], 1);
        page.gauge("a_level", "Level.", &[], 0.5);
        page.counter("b_things", "Things.", &[("name", "x"), ("other", "y")], 2);
        assert_eq!(
            page.finish(),
            "# TYPE a_level gauge\n# HELP a_level Level.\na_level 0.5\n\
             # TYPE b_things counter\n# HELP b_things Things.\n\
             b_things_total{name=\"a\\\"b\\\\c\\nd\"} 1\nb_things_total{name=\"x\",other=\"y\"} 2\n# EOF\n"
        );
    }
}
