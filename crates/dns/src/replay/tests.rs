//! The player itself: what it reads, what it refuses, and that its checks can fail.

use proptest::prelude::*;

use super::{Outcome, arbitrary, run};

const SERVERS: &str = "\
server:
    qname-minimisation: no
    trust-anchor: \"ignored\"
stub-zone:
    name: \".\"
    stub-addr: 192.0.2.1 # the only root
CONFIG_END
SCENARIO_BEGIN one server that knows everything
RANGE_BEGIN 0 10
  ADDRESS 192.0.2.1
ENTRY_BEGIN
MATCH opcode qtype qname
ADJUST copy_id
REPLY QR AA NOERROR
SECTION QUESTION
. IN NS
SECTION ANSWER
. IN NS root.example.
SECTION ADDITIONAL
root.example. IN A 192.0.2.1
ENTRY_END
ENTRY_BEGIN
MATCH opcode qtype qname
ADJUST copy_id
REPLY QR AA NOERROR
SECTION QUESTION
www.example. IN A
SECTION ANSWER
www.example. 60 IN A 198.51.100.7
ENTRY_END
RANGE_END
STEP 1 QUERY
ENTRY_BEGIN
REPLY RD
SECTION QUESTION
www.example. IN A
ENTRY_END
";

fn ending(steps: &str) -> Outcome {
    run(&format!("{SERVERS}{steps}SCENARIO_END\n")).outcome
}

fn checked(body: &str) -> Outcome {
    ending(&format!(
        "STEP 2 CHECK_ANSWER\nENTRY_BEGIN\nSECTION QUESTION\nwww.example. IN A\n{body}ENTRY_END\n"
    ))
}

#[test]
fn a_script_passes_when_all_is_as_it_says() {
    let right = "MATCH all ttl\nREPLY QR RD RA NOERROR\nSECTION ANSWER\nWWW.example. 60 IN A 198.51.100.7\n";
    assert_eq!(checked(right), Outcome::Pass);
    let notes = run(&format!("{SERVERS}SCENARIO_END\n")).notes;
    assert_eq!(notes, ["`trust-anchor` is passed over: nothing is validated", "AD is not compared"]);
}

#[test]
fn ad_alone_is_not_compared_where_an_anchor_is_trusted() {
    let wanted = "MATCH flags\nREPLY QR RD RA AD NOERROR\n";
    assert_eq!(checked(wanted), Outcome::Pass);
    assert!(matches!(checked(&wanted.replace("RA AD", "AD")), Outcome::Fail(_)), "RA is, in any case");
}

#[test]
fn a_script_fails_with_the_first_difference() {
    for (body, told) in [
        ("MATCH all\nREPLY QR RD RA NOERROR\n", "not expected: www.example. 0 IN A 198.51.100.7"),
        ("MATCH rcode\nREPLY NXDOMAIN\n", "rcode: expected NXDOMAIN, got NOERROR"),
        ("MATCH flags\nREPLY QR RD RA AA\n", "flags: expected QR AA RD RA, got QR RD RA"),
        ("MATCH all ttl\nREPLY QR RD RA\nSECTION ANSWER\nwww.example. 61 IN A 198.51.100.7\n", "missing"),
    ] {
        let Outcome::Fail(why) = checked(body) else { panic!("{body} should fail") };
        assert!(why.contains(told), "{why}");
    }
    let Outcome::Fail(why) = ending("STEP 2 TIMEOUT\n") else { panic!("nothing is open") };
    assert!(why.contains("no query is open"), "{why}");
}

#[test]
fn what_is_not_played_is_said_with_its_line() {
    for (steps, told) in [
        ("STEP 2 CHECK_AUTOTRUST x\n", "line 38: a step `CHECK_AUTOTRUST`"),
        ("STEP 2 TIME_PASSES EVAL ${time + 3}\n", "line 38: `TIME_PASSES EVAL` with variables"),
    ] {
        assert_eq!(ending(steps), Outcome::Unsupported(told.to_owned()));
    }
    let views = run("server:\n  access-control-view: 10.0.0.0/8 inside\nCONFIG_END\nSCENARIO_END\n");
    assert_eq!(
        views.outcome,
        Outcome::Unsupported("line 2: the option `access-control-view: 10.0.0.0/8 inside`".to_owned())
    );
    assert!(matches!(run("server:\n").outcome, Outcome::Fail(_)));
}

proptest! {
    #[test]
    fn whatever_happens_it_ends_within_its_bounds(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        arbitrary(&octets);
    }

    #[test]
    fn any_text_is_played_or_refused(text in "[A-Z_ \n0-9a-z.:;\"]{0,200}") {
        let _ = run(&text);
    }
}
