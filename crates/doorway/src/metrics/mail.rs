//! What mail has done: its doors, its office, its queue.

use std::sync::atomic::Ordering::Relaxed;

use doorway_mail::io::smtp_server::SUBJECTS;

use super::Page;
use crate::mail::Serving;

/// Adds it to the page.
pub(crate) fn measure(mail: &Serving, page: &mut Page) {
    let (smtp, tally) = (&mail.smtp, mail.office.tally());
    for (metric, help, count) in [
        ("doorway_smtp_starttls", "Connections that went over to TLS.", &smtp.starttls),
        ("doorway_smtp_commands", "Commands of SMTP and LMTP.", &smtp.commands),
        ("doorway_smtp_octets", "Octets of content that came.", &smtp.octets),
        ("doorway_smtp_logins", "Logins that succeeded.", &smtp.logins),
        ("doorway_smtp_logins_denied", "Logins that were denied.", &smtp.logins_denied),
        ("doorway_mail_messages", "Messages that were taken.", &tally.messages),
        ("doorway_mail_octets", "Octets of messages that were taken.", &tally.octets),
        ("doorway_mail_delivered", "Copies put into mailboxes.", &tally.delivered),
        ("doorway_mail_queued", "Recipients given to the queue.", &tally.queued),
    ] {
        page.counter(metric, help, &[], count.load(Relaxed));
    }
    let refusals = [("later", &smtp.deferred), ("never", &smtp.refused)];
    for (again, counts) in refusals {
        for (subject, count) in SUBJECTS.iter().zip(counts) {
            let labels = [("again", again), ("about", *subject)];
            page.counter("doorway_smtp_refused", "Commands that were refused.", &labels, count.load(Relaxed));
        }
    }
    for (why, count) in [
        ("unknown", &tally.unknown),
        ("relaying", &tally.relaying_denied),
        ("quota", &tally.over_quota),
        ("rate", &tally.limited),
        ("disk_full", &tally.disk_full),
        ("trouble", &tally.failed),
        ("loop", &tally.loops),
        ("forged", &tally.forged),
    ] {
        let help = "Senders, recipients and messages that were refused.";
        page.counter("doorway_mail_refused", help, &[("why", why)], count.load(Relaxed));
    }
    let queue = mail.office.queue().counts();
    for (metric, help, count) in [
        ("doorway_mail_queue_delivered", "Recipients that another server took.", queue.delivered),
        ("doorway_mail_queue_deferred", "Tries that will be repeated.", queue.deferred),
        ("doorway_mail_queue_failed", "Recipients that were given up.", queue.failed),
    ] {
        page.counter(metric, help, &[], count);
    }
    page.gauge("doorway_mail_queue_in_memory", "Recipients about to be tried.", &[], queue.in_memory as f64);
    let help = "Connections to other servers.";
    page.gauge("doorway_mail_queue_connections", help, &[], queue.connections as f64);
    let pop3 = mail.pop3.metrics();
    for (metric, help, count) in [
        ("doorway_pop3_commands", "Commands of POP3.", pop3.commands),
        ("doorway_pop3_logins", "Maildrops that were opened.", pop3.logins),
        ("doorway_pop3_logins_denied", "Logins that were denied.", pop3.denied),
        ("doorway_pop3_in_use", "Logins to a maildrop that another session had.", pop3.in_use),
        ("doorway_pop3_retrieved", "Messages that were sent.", pop3.retrieved),
        ("doorway_pop3_octets", "Octets of messages that were sent.", pop3.retrieved_octets),
        ("doorway_pop3_deleted", "Messages that were deleted.", pop3.deleted),
        ("doorway_pop3_broken_off", "Sessions that ended without QUIT.", pop3.broken_off),
    ] {
        page.counter(metric, help, &[], count);
    }
    let open = mail.pop3.open_maildrops() as f64;
    page.gauge("doorway_pop3_open", "Maildrops that are open.", &[], open);
}
