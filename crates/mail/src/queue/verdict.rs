//! What follows from a try: the item is done, failed, or due again, and its sender hears of it or not
//! (RFC 3461 §5.2, §6.2).

use std::time::Duration;

use doorway_base::UnixTime;

use super::item::{Item, Last};
use super::report::Action;
use super::schedule::Schedule;
use crate::reply::Reply;

/// What a try came to for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A server said this, or it is what a server that had our trouble would say.
    Said(Reply),
    /// The destination is left alone for at least this long, because of this.
    LeftAlone(Reply, Duration),
    /// There was no room in memory: it was not tried, and comes back after this time.
    NoRoom(Duration),
}

/// Who gave a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judge<'a> {
    /// Its host name; empty when it was us.
    pub host: &'a str,
    /// Whether what it took is in the mailbox: an LMTP server.
    pub is_final: bool,
    /// Whether it reports what it does (DSN, RFC 3461).
    pub reports: bool,
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It was delivered or passed on.
    Done,
    /// It will never be.
    Failed,
    /// It is due later, in this form.
    Later(Item),
}

/// Decides. `wait` is the schedule's, drawn once for all recipients of a try so that they stay together.
/// The second value is what the sender is to be told.
#[must_use]
pub fn decide(
    item: &Item,
    verdict: &Verdict,
    judge: Judge<'_>,
    schedule: &Schedule,
    wait: Duration,
    now: UnixTime,
) -> (Next, Option<Action>) {
    let notify = item.recipient.notify;
    // Nobody is told of a message without a reverse-path: it may be a report itself.
    let told = |wanted: bool, action: Action| (wanted && item.shared.from.is_some()).then_some(action);
    let (reply, wait) = match verdict {
        Verdict::NoRoom(wait) => {
            let mut item = item.clone();
            item.due = now + *wait;
            let turn = || Last { at: now, host: String::new(), text: "it waits for its turn".to_owned() };
            item.last = Some(item.last.unwrap_or_else(turn));
            return (Next::Later(item), None);
        }
        Verdict::Said(reply) => (reply, wait),
        Verdict::LeftAlone(reply, alone) => (reply, wait.max(*alone)),
    };
    if reply.is_positive() {
        let action = if judge.is_final { Action::Delivered } else { Action::Relayed };
        return (Next::Done, told(notify.success && (judge.is_final || !judge.reports), action));
    }
    let tries = item.tries.saturating_add(1);
    if reply.is_permanent() || schedule.gives_up(item.shared.at, tries, now) {
        return (Next::Failed, told(notify.failure, Action::Failed));
    }
    let mut item = item.clone();
    item.tries = tries;
    item.due = now + wait;
    item.last = Some(Last { at: now, host: judge.host.to_owned(), text: reply.to_string() });
    let delayed = !item.delay_told && schedule.tells_delay(item.shared.at, now);
    item.delay_told |= delayed;
    let tell = told(delayed && notify.delay, Action::Delayed);
    (Next::Later(item), tell)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::address::Address;
    use crate::envelope::{Notify, Recipient};
    use crate::id::MessageId;
    use crate::queue::item::{Held, Shared};
    use crate::reply::Enhanced;

    const START: UnixTime = UnixTime::from_secs(1_795_000_000);
    const SMTP: Judge<'_> = Judge { host: "mx", is_final: false, reports: false };
    const HOUR: u64 = 3600;

    fn item(from: Option<&str>, notify: Notify) -> Item {
        let from = from.map(|from| Address::parse(from).unwrap());
        Item {
            id: MessageId(1),
            number: 0,
            shared: Arc::new(Shared { at: START, from, ..Shared::default() }),
            recipient: Recipient { notify, ..Recipient::new(Address::parse("b@x.test").unwrap()) },
            tries: 10,
            due: START,
            delay_told: false,
            held: Held::No,
            last: None,
        }
    }

    fn said(code: u16) -> Verdict {
        Verdict::Said(Reply::new(code, Enhanced((code / 100) as u8, 0, 0), "said"))
    }

    fn check(item: &Item, verdict: &Verdict, judge: Judge<'_>, hours: u64, expected: &str) {
        let now = START + Duration::from_secs(hours * HOUR);
        let wait = Duration::from_secs(60);
        let (next, told) = decide(item, verdict, judge, &Schedule::default(), wait, now);
        let next = match next {
            Next::Done => "done".to_owned(),
            Next::Failed => "failed".to_owned(),
            Next::Later(later) => format!("tries {} in {} s", later.tries, (later.due - now).as_secs()),
        };
        let told = told.map_or("nothing", Action::word);
        assert_eq!(format!("{next}, {told}"), expected);
    }

    #[test]
    fn what_follows_from_a_reply_and_who_hears_of_it() {
        let all = Notify { success: true, failure: true, delay: true };
        let wishes = item(Some("a@x.test"), all);
        let usual = item(Some("a@x.test"), Notify::default());
        let report = item(None, all);
        let never = item(Some("a@x.test"), Notify::NEVER);
        check(&usual, &said(250), SMTP, 0, "done, nothing");
        check(&wishes, &said(250), SMTP, 0, "done, relayed");
        check(&wishes, &said(250), Judge { reports: true, ..SMTP }, 0, "done, nothing");
        check(&wishes, &said(250), Judge { is_final: true, ..SMTP }, 0, "done, delivered");
        check(&usual, &said(550), SMTP, 0, "failed, failed");
        check(&never, &said(550), SMTP, 0, "failed, nothing");
        check(&report, &said(550), SMTP, 0, "failed, nothing");
        check(&usual, &said(450), SMTP, 1, "tries 11 in 60 s, nothing");
        check(&usual, &said(450), SMTP, 4, "tries 11 in 60 s, delayed");
        check(&never, &said(450), SMTP, 4, "tries 11 in 60 s, nothing");
        check(&report, &said(450), SMTP, 4, "tries 11 in 60 s, nothing");
        check(&usual, &said(450), SMTP, 120, "failed, failed");
        let alone = Verdict::LeftAlone(Reply::new(421, Enhanced(4, 3, 2), "later"), Duration::from_secs(500));
        check(&usual, &alone, SMTP, 0, "tries 11 in 500 s, nothing");
        check(&usual, &Verdict::NoRoom(Duration::from_secs(7)), SMTP, 0, "tries 10 in 7 s, nothing");
    }

    #[test]
    fn a_delay_is_told_once() {
        let first = item(Some("a@x.test"), Notify::default());
        let now = START + Duration::from_secs(5 * HOUR);
        let wait = Duration::from_secs(60);
        let (next, told) = decide(&first, &said(450), SMTP, &Schedule::default(), wait, now);
        assert_eq!(told, Some(Action::Delayed));
        let Next::Later(second) = next else { panic!("{next:?}") };
        let (_, told) = decide(&second, &said(450), SMTP, &Schedule::default(), wait, now);
        assert_eq!(told, None);
    }

    #[test]
    fn what_finds_no_room_is_no_longer_fresh() {
        let mut fresh = item(None, Notify::default());
        fresh.tries = 0;
        let (next, _) = decide(
            &fresh,
            &Verdict::NoRoom(Duration::ZERO),
            SMTP,
            &Schedule::default(),
            Duration::ZERO,
            START,
        );
        let Next::Later(later) = next else { panic!("{next:?}") };
        assert!(fresh.is_fresh() && !later.is_fresh());
        assert!(later.due_key().is_some());
    }
}
