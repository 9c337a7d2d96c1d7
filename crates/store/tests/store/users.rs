//! Users and sessions from outside.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use doorway_base::{Random, UnixTime};
use doorway_store::{
    Entropy, Error, Key, LoginError, MemoryStore, Preset, Range, Role, SCRAM_ITERATIONS_MIN, ScanOptions,
    ScramKeys, SessionOptions, Sessions, Store, UserChange, UserError, UserOptions, UserState, Users,
    scram_proof, wait,
};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const CHEAP: Preset = Preset { memory_kib: 64, passes: 1, lanes: 1 };

fn entropy() -> Entropy {
    let random = Mutex::new(Random::new(1));
    Arc::new(move |octets: &mut [u8]| random.lock().unwrap().fill(octets))
}

fn users(store: &Arc<MemoryStore>, preset: Preset) -> Users {
    let options = UserOptions { preset, ..UserOptions::new(entropy()) };
    Users::new(Arc::clone(store) as Arc<dyn Store>, options).unwrap()
}

fn seconds(seconds: u64) -> UnixTime {
    NOW + Duration::from_secs(seconds)
}

#[test]
fn a_user_logs_in_with_the_right_password_only() {
    let users = users(&Arc::default(), CHEAP);
    let ann =
        wait(users.add("Ann", "Ann Lee", &[Role::User, Role::Admin], Some("correct horse"), NOW)).unwrap();
    assert_eq!((ann.name.as_str(), ann.id, &ann.roles[..]), ("ann", 1, &[Role::Admin, Role::User][..]));
    let login = |name, password| wait(users.login(name, password, "imap", NOW));
    for _ in 0..2 {
        assert_eq!(login("ANN", "correct horse").unwrap().user, ann);
    }
    for (name, password) in [("ann", "correct horsf"), ("ann", ""), ("bob", "correct horse"), ("../x", "x")] {
        assert_eq!(login(name, password), Err(LoginError::Denied));
    }
}

#[test]
fn names_are_given_once_and_passwords_have_a_least_length() {
    let users = users(&Arc::default(), CHEAP);
    let add = |name, password| wait(users.add(name, "", &[Role::User], Some(password), NOW));
    assert!(matches!(add("a b", "correct horse"), Err(UserError::Name(_))));
    assert_eq!(add("ann", "nine char"), Err(UserError::PasswordTooShort(10)));
    add("ann", "ten chars!").unwrap();
    assert_eq!(add("ANN", "correct horse"), Err(UserError::Exists));
    assert_eq!(wait(users.set_password("bob", "correct horse", NOW)), Err(UserError::NoSuchUser));
    wait(users.remove("ann")).unwrap();
    assert_eq!(wait(users.remove("ann")), Err(UserError::NoSuchUser));
    assert!(add("ann", "correct horse").unwrap().id > 1, "a number never names somebody else");
}

#[test]
fn a_changed_user_has_to_prove_themselves_anew() {
    let users = users(&Arc::default(), CHEAP);
    wait(users.add("ann", "", &[Role::User], Some("correct horse"), NOW)).unwrap();
    let login = |password| wait(users.login("ann", password, "imap", NOW));
    login("correct horse").unwrap();
    wait(users.set_password("ann", "battery staple", NOW)).unwrap();
    assert_eq!(login("correct horse"), Err(LoginError::Denied));
    login("battery staple").unwrap();
    let suspended = UserChange { state: Some(UserState::Suspended), ..UserChange::default() };
    wait(users.change("ann", &suspended, NOW)).unwrap();
    assert_eq!(login("battery staple"), Err(LoginError::Denied));
    let names: Vec<String> = wait(users.list()).unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["ann"]);
}

#[test]
fn a_password_is_hashed_anew_when_the_preset_has_changed() {
    let store = Arc::default();
    wait(users(&store, CHEAP).add("ann", "", &[Role::User], Some("correct horse"), NOW)).unwrap();
    let kept = || {
        let row = store.get(&[Key::from("user/ann")]).wait().unwrap().pop().unwrap().unwrap();
        String::from_utf8_lossy(&row.value).into_owned()
    };
    assert!(kept().contains("m=64,t=1"));
    let stronger = users(&store, Preset { memory_kib: 128, passes: 2, lanes: 1 });
    assert_eq!(wait(stronger.login("ann", "wrong", "imap", NOW)), Err(LoginError::Denied));
    assert!(kept().contains("m=64,t=1"));
    for _ in 0..2 {
        wait(stronger.login("ann", "correct horse", "imap", NOW)).unwrap();
        assert!(kept().contains("m=128,t=2"));
    }
}

#[test]
fn an_app_password_opens_its_protocols_and_is_not_kept_itself() {
    let store = Arc::default();
    let users = users(&store, CHEAP);
    wait(users.add("ann", "", &[Role::User], None, NOW)).unwrap();
    let secret = wait(users.add_app_password("ann", "phone", &["imap"], Some(seconds(1000)), NOW)).unwrap();
    let login = |secret: &str, protocol, now| wait(users.login("ann", secret, protocol, now));
    let opened = login(&secret.to_uppercase(), "imap", seconds(70)).unwrap();
    assert_eq!(opened.app_password.as_deref(), Some("phone"));
    login(&secret, "imap", seconds(90)).unwrap();
    assert_eq!(login(&secret, "smtp", NOW), Err(LoginError::Denied));
    assert_eq!(login(&secret, "imap", seconds(1000)), Err(LoginError::Denied));
    assert_eq!(login("", "imap", NOW), Err(LoginError::Denied));
    let listed = wait(users.app_passwords("ann")).unwrap();
    assert_eq!(listed[0].last_use, Some(seconds(70)), "kept to the minute");
    for (_, row) in store.scan(Range::all(), ScanOptions::default()).wait().unwrap().rows {
        assert!(!String::from_utf8_lossy(&row.value).contains(&secret));
    }
    wait(users.remove_app_password("ann", &listed[0].id)).unwrap();
    assert_eq!(login(&secret, "imap", NOW), Err(LoginError::Denied));
}

#[test]
fn sessions_survive_a_restart_and_end_when_they_are_revoked() {
    let store: Arc<MemoryStore> = Arc::default();
    // One source for all lives of the process, as the system's is: secrets never come again.
    let entropy = entropy();
    let open = |now| {
        let store = Arc::clone(&store) as Arc<dyn Store>;
        wait(Sessions::open(store, SessionOptions::default(), Arc::clone(&entropy), now)).unwrap()
    };
    let sessions = open(NOW);
    let ann = wait(sessions.begin(Some("ann"), Bytes::new(), NOW)).unwrap();
    let visitor = wait(sessions.begin(None, Bytes::from_static(b"cart"), NOW)).unwrap();
    assert!(wait(sessions.set_value(&ann, Bytes::from_static(b"theme"), seconds(10))).unwrap());
    let used = sessions.find(&ann, seconds(1500)).unwrap();
    assert_eq!((used.user.as_deref(), &used.value[..]), (Some("ann"), &b"theme"[..]));

    let sessions = open(seconds(2000));
    assert_eq!(sessions.find(&ann, seconds(2000)).unwrap().value, "theme", "its use at 1500 s was written");
    assert_eq!(sessions.find(&visitor, seconds(2000)), None, "thirty minutes without use");
    let third = wait(sessions.begin(Some("ann"), Bytes::new(), seconds(2000))).unwrap();
    assert_eq!(sessions.list(Some("ann"), seconds(2000)).len(), 2);
    assert!(wait(sessions.revoke(&third.id())).unwrap());
    assert_eq!(wait(sessions.revoke_user("ann", seconds(2000))).unwrap(), 1);
    assert_eq!(sessions.find(&ann, seconds(2000)), None);
    assert_eq!(open(seconds(2000)).list(None, seconds(2000)), []);
    let rows = store.scan(Range::prefix(&Key::from("session/")), ScanOptions::default()).wait().unwrap().rows;
    assert!(rows.is_empty(), "nothing of them stays");
}

#[test]
fn sessions_are_bounded_in_number_and_size() {
    let store: Arc<MemoryStore> = Arc::default();
    let options = SessionOptions { sessions_max: 2, ..SessionOptions::default() };
    let sessions = wait(Sessions::open(store, options, entropy(), NOW)).unwrap();
    let long = Bytes::from(vec![0; 8 * 1024 + 1]);
    let begin = |value: Bytes| wait(sessions.begin(None, value, NOW));
    assert!(matches!(begin(long.clone()), Err(Error::Limit(_))));
    let first = begin(Bytes::new()).unwrap();
    begin(Bytes::new()).unwrap();
    assert!(matches!(begin(Bytes::new()), Err(Error::Limit(_))));
    assert!(matches!(wait(sessions.set_value(&first, long, NOW)), Err(Error::Limit(_))));
    assert_eq!(wait(sessions.sweep(seconds(1800))).unwrap(), 2);
    wait(sessions.begin(None, Bytes::new(), seconds(1800))).unwrap();
}

#[test]
fn scram_knows_a_password_from_when_it_is_set_or_first_proven() {
    let store = Arc::new(MemoryStore::new());
    let with = |scram_iterations| {
        let options = UserOptions { preset: CHEAP, scram_iterations, ..UserOptions::new(entropy()) };
        Users::new(Arc::clone(&store) as Arc<dyn Store>, options).unwrap()
    };
    let (old, new) = (with(0), with(SCRAM_ITERATIONS_MIN));
    let proves = |users: &Users, name: &str, password: &str| {
        let (verifier, user) = wait(users.scram(name)).unwrap();
        let keys = ScramKeys::derive(password, &verifier.salt, verifier.iterations);
        let (proof, signature) = scram_proof(&keys, b"messages");
        verifier.verify(b"messages", &proof) == Some(signature) && user.is_some()
    };
    wait(old.add("ann", "", &[Role::User], Some("correct horse"), NOW)).unwrap();
    wait(new.add("bob", "", &[Role::User], Some("battery staple"), NOW)).unwrap();
    assert!(proves(&new, "Bob", "battery staple"));
    assert!(!proves(&new, "bob", "correct horse"));
    assert!(!proves(&new, "ann", "correct horse"), "set before SCRAM kept anything");
    wait(new.login("ann", "correct horse", "smtp", NOW)).unwrap();
    assert!(proves(&new, "ann", "correct horse"));
    wait(new.set_password("ann", "another horse", NOW)).unwrap();
    assert!(proves(&new, "ann", "another horse"));
    let suspended = UserChange { state: Some(UserState::Suspended), ..UserChange::default() };
    wait(new.change("bob", &suspended, NOW)).unwrap();
    assert!(!proves(&new, "bob", "battery staple"));
}

#[test]
fn scram_shows_nobody_who_exists() {
    let store = Arc::default();
    let users = users(&store, CHEAP);
    wait(users.add("ann", "", &[Role::User], Some("correct horse"), NOW)).unwrap();
    let asked = |users: &Users, name| wait(users.scram(name)).unwrap().0;
    assert_eq!(asked(&users, "ann").iterations, asked(&users, "nobody").iterations);
    assert_eq!(asked(&users, "nobody"), asked(&users, "Nobody"));
    assert_ne!(asked(&users, "nobody").salt, asked(&users, "noone").salt);
    assert_eq!(asked(&users, "nobody"), asked(&self::users(&store, CHEAP), "nobody"), "after a restart");
}
