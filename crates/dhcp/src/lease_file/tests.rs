//! Files as the other servers write them, read; and what we write, read again.

use proptest::prelude::*;

use super::*;
use crate::wire::hardware::hex;

const NOW: UnixTime = UnixTime::from_secs(1_795_369_205);

/// Checks what a file is read as: leases and reservations, a line each, and the lines with faults.
#[track_caller]
fn check(format: Format, text: &str, leases: &[&str], reservations: &[&str], faulty: &[usize]) {
    let found = read(format, text, NOW);
    let lease = |lease: &Lease| {
        let ends = lease.ends.map_or("never".to_owned(), |ends| ends.as_secs().to_string());
        let host = lease.host.as_deref().unwrap_or("-");
        let client = hex(lease.client.octets());
        format!("{} {} {} {client} {ends} {host}", lease.address, lease.state.name(), lease.hardware)
    };
    let reservation = |known: &Reservation| {
        let address = known.address.map(|address| address.to_string()).unwrap_or_default();
        format!("{address} {} {}", known.client.describe(), known.host_name.as_deref().unwrap_or("-"))
    };
    assert_eq!(found.leases.values().map(lease).collect::<Vec<_>>(), leases);
    assert_eq!(found.reservations.iter().map(reservation).collect::<Vec<_>>(), reservations);
    assert_eq!(found.faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), faulty, "{:?}", found.faults);
}

#[test]
fn files_of_dnsmasq_are_read() {
    check(
        Format::Dnsmasq,
        "1795383605 02:00:00:00:00:01 10.0.0.7 hello 01:02:00:00:00:00:01\n\
         0 02:00:00:00:00:02 10.0.0.8 * ff:00:01\n\
         5 02:00:00:00:00:03 10.0.0.9 old *\n\
         1795383605 02:00:00:00:00:04 10.0.0 x *\n\
         dhcp-host=02:00:00:00:00:05,set:known,10.0.0.5,printer,12h\n\
         dhcp-host=id:01:02,10.0.0.6\n\
         dhcp-host=02:00:00:00:00:05\n\
         duid 00:01:00:01\n\
         never read\n",
        &[
            "10.0.0.7 bound 02:00:00:00:00:01 01:02:00:00:00:00:01 1795383605 hello",
            "10.0.0.8 bound 02:00:00:00:00:02 ff:00:01 never -",
            "10.0.0.9 expired 02:00:00:00:00:03 01:02:00:00:00:00:03 5 old",
        ],
        &["10.0.0.5 mac 02:00:00:00:00:05 printer", "10.0.0.6 client-id 01:02 -"],
        &[4, 7],
    );
}

#[test]
fn files_of_kea_are_read() {
    check(
        Format::Kea,
        "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n\
         10.0.0.7,02:00:00:00:00:01,01:02:00:00:00:00:01,4000,1795370000,1,0,0,hello.shop.,0,,0\n\
         10.0.0.8,02:00:00:00:00:02,,4000,1795370000,1,0,0,a&#x2cb,0,,0\n\
         10.0.0.8,02:00:00:00:00:02,,4000,1795379999,1,0,0,,0,,0\n\
         10.0.0.9,02:00:00:00:00:03,,4000,1795370000,1,0,0,,0,,0\n\
         10.0.0.9,02:00:00:00:00:03,,0,1795370000,1,0,0,,2,,0\n\
         10.0.0.10,,,86400,1795399999,1,0,0,,1,,0\n\
         10.0.0.11,zz,,86400,1795399999,1,0,0,,0,,0\n",
        &[
            "10.0.0.7 bound 02:00:00:00:00:01 01:02:00:00:00:00:01 1795370000 hello.shop",
            "10.0.0.8 bound 02:00:00:00:00:02 01:02:00:00:00:00:02 1795379999 -",
            "10.0.0.10 declined - 01 1795399999 -",
        ],
        &[],
        &[8],
    );
}

#[test]
fn reservations_in_the_configuration_of_kea_are_read() {
    check(
        Format::Kea,
        r#"// Kea's own comments
        { "Dhcp4": { # are of three kinds
            "reservations": [{ "client-id": "'tower'", "ip-address": "10.0.0.4" }],
            "hosts-database": { "type": "mysql" }, /* of which
            this one "has": lines */
            "subnet4": [{ "id": 1, "subnet": "10.0.0.0/24", "reservations": [
                { "hw-address": "02:00:00:00:00:05", "ip-address": "10.0.0.5", "hostname": "printer.shop." },
                { "client-id": "01:02", "ip-address": "10.0.0.6", "option-data": [{ "name": "routers" }] },
                { "duid": "01:02:03", "ip-address": "10.0.0.7" },
                { "hw-address": "02:00:00:00:00:08", "hostname": "of-the-pool" }
            ] }],
            "shared-networks": [{ "name": "floor", "subnet4": [{ "reservations": [
                { "circuit-id": "0x706f7274", "ip-address": "10.0.0.9", "hostname": "http://x#y" }
            ] }] }]
        } }"#,
        &[],
        &[
            "10.0.0.4 client-id 74:6f:77:65:72 -",
            "10.0.0.5 mac 02:00:00:00:00:05 printer.shop",
            "10.0.0.6 client-id 01:02 -",
            "10.0.0.9 circuit-id 70:6f:72:74 http://x#y",
        ],
        &[8, 9, 10, 4],
    );
    check(Format::Kea, "{ \"Dhcp6\": {} }", &[], &[], &[1]);
    check(Format::Kea, "{ \"Dhcp4\": {\n<?include \"more.json\"?> } }", &[], &[], &[2]);
}

#[test]
fn files_of_isc_dhcpd_are_read() {
    check(
        Format::Isc,
        "# The format of this file\n\
         lease 10.0.0.7 {\n  starts 0 2026/11/22 17:40:05;\n  ends 0 2026/11/22 21:40:05;\n  cltt 0 2026/11/22 17:40:05;\n\
         \x20 binding state active;\n  hardware ethernet 02:00:00:00:00:01;\n  uid \"\\001\\002\\000\\000\\000\\000\\001\";\n\
         \x20 client-hostname \"hello\";\n}\n\
         lease 10.0.0.8 { starts epoch 1795369205; ends never; hardware ethernet 02:00:00:00:00:02; }\n\
         lease 10.0.0.9 { ends 0 2026/11/22 21:40:05; binding state free; hardware ethernet 02:00:00:00:00:03; }\n\
         lease 10.0.0.10 { ends 0 2026/13/22 21:40:05; hardware ethernet 02:00:00:00:00:04; }\n\
         host printer { hardware ethernet 02:00:00:00:00:05; fixed-address 10.0.0.5; }\n\
         host nobody { fixed-address 10.0.0.6; }\n\
         lease 10.0.0.11 {\n",
        &[
            "10.0.0.7 bound 02:00:00:00:00:01 01:02:00:00:00:00:01 1795383605 hello",
            "10.0.0.8 bound 02:00:00:00:00:02 01:02:00:00:00:00:02 never -",
            "10.0.0.9 expired 02:00:00:00:00:03 01:02:00:00:00:00:03 1795383605 -",
        ],
        &["10.0.0.5 mac 02:00:00:00:00:05 printer"],
        &[13, 15, 16],
    );
}

#[test]
fn what_is_written_is_read_again() {
    let mac = HardwareAddress::ethernet([2, 0, 0, 0, 0, 1]);
    let ends = Some(NOW + std::time::Duration::from_secs(4000));
    let plain = Lease { seconds: 4000, ..lease(Ipv4Addr::new(10, 0, 0, 7), mac, None, ends, NOW) };
    let own = Lease {
        host: Some("hello".into()),
        ..lease(Ipv4Addr::new(10, 0, 0, 8), mac, Some(&[255, 1]), ends, NOW)
    };
    let endless = lease(Ipv4Addr::new(10, 0, 0, 9), mac, None, None, NOW);
    for format in [Format::Isc, Format::Dnsmasq, Format::Kea] {
        let text = write(format, [&plain, &own, &endless]);
        let found = read(format, &text, NOW);
        assert_eq!(found.faults, [], "{format:?}");
        assert_eq!(
            found.leases.into_values().collect::<Vec<_>>(),
            [plain.clone(), own.clone(), endless.clone()]
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in "([a-z0-9 :{};\"\\\\,=.\n]|lease|host|ends|dhcp-host=|[{/*#]){0,80}") {
        for format in [Format::Isc, Format::Dnsmasq, Format::Kea] {
            let found = read(format, &text, NOW);
            prop_assert!(found.faults.len() <= FAULTS_MAX);
        }
    }
}
