//! A client of SMTP does the same however a server's octets are cut into reads.
#![no_main]
use doorway_base::{Instant, Session};
use doorway_mail::smtp::client::{Client, Input, Output};
use doorway_mail::smtp::{Credentials, Security, Settings};
use doorway_mail::{Address, Envelope, Recipient};

fn done(octets: &[u8], step: usize) -> Vec<Output> {
    let credentials = Some(Credentials { name: "user".to_owned(), password: "pencil".to_owned() });
    let settings =
        Settings { security: Security::Never, credentials, clear_password: true, ..Settings::new("mx.test") };
    let to = ["a@x", "b@x"].map(|to| Recipient::new(Address::parse(to).expect("an address")));
    let envelope = Envelope { recipients: to.to_vec(), ..Envelope::default() };
    let mut client = Client::new(Instant::ZERO, settings, "nonce".to_owned(), false);
    let mut outputs = Vec::new();
    for part in octets.chunks(step) {
        client.handle(Instant::ZERO, Input::Octets(part));
        while let Some(output) = client.poll_output() {
            if matches!(output, Output::Content { .. }) {
                client.handle(Instant::ZERO, Input::ContentSent);
            }
            outputs.push(output);
        }
        if client.is_idle() {
            client.handle(Instant::ZERO, Input::Send(&envelope, 10));
        }
    }
    outputs
}

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    // A server that speaks before it is asked is out of step with us, and may be so in two ways.
    done(octets, octets.len().max(1));
    done(octets, 1);
});
