//! The user list: adding, changing and removing users, and checking who they say they are.

use std::sync::{Arc, Mutex, OnceLock};

use doorway_base::{Limit, UnixTime};

use crate::batch::{Batch, Durability, Row};
use crate::error::{Error, Result};
use crate::io::rows::{row, rows};
use crate::io::workers::Workers;
use crate::key::{Key, Range};
use crate::lock::lock;
use crate::login::{Login, LoginError, VerifiedLogins};
use crate::password::{
    APP_PASSWORD_OCTETS, APP_PASSWORDS, AppPassword, PASSWORD_MIN, PASSWORD_OCTETS_MAX, Preset, SALT_OCTETS,
    app_hash, app_prefix, app_secret, app_used_prefix, hash, hex, is_outdated, verify,
};
use crate::scram::{SCRAM_ITERATIONS, SCRAM_SALT_OCTETS, ScramVerifier};
use crate::store::Store;
use crate::user::{Account, NEXT_ID, Role, SCRAM_KEY, USERS, User, UserState, user_key, user_name};
use crate::watch::Watch;

/// A source of random octets that nobody can predict; the binary gives the operating system's.
pub type Entropy = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// Password checks that may wait; one more is refused as temporary.
const CHECKS_MAX: u64 = 256;
/// How exactly the last use of an app password is kept, in seconds.
const LAST_USE_STEP_SECONDS: u64 = 60;
/// Most app passwords of one user.
pub const APP_PASSWORDS_MAX: usize = 100;

/// How users are checked.
#[derive(Clone)]
pub struct UserOptions {
    /// What a password check costs. Default [`Preset::NORMAL`].
    pub preset: Preset,
    /// `auth.password_min`: fewest characters of a new password. Default 10.
    pub password_min: usize,
    /// Threads that check passwords, which bounds the memory that checks take. Default 2; with 0 the
    /// caller's thread does it, for simulated nodes.
    pub threads: usize,
    /// Iterations of what SCRAM keeps of a password; with 0 nothing is kept and SCRAM opens no account.
    /// Default [`SCRAM_ITERATIONS`].
    pub scram_iterations: u32,
    /// Where salts and secrets come from.
    pub entropy: Entropy,
}

impl UserOptions {
    /// The defaults.
    #[must_use]
    pub fn new(entropy: Entropy) -> Self {
        Self {
            preset: Preset::NORMAL,
            password_min: PASSWORD_MIN,
            threads: 2,
            scram_iterations: SCRAM_ITERATIONS,
            entropy,
        }
    }
}

/// Why a user could not be added or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserError {
    /// The name is not one that [`user_name`] allows; says what was expected where.
    Name(doorway_base::Malformed),
    /// There is such a user already.
    Exists,
    /// There is no such user or app password.
    NoSuchUser,
    /// The password is too short; holds the fewest characters it needs.
    PasswordTooShort(usize),
    /// The password is longer than anybody looks at.
    PasswordTooLong,
    /// The user has as many app passwords as one may have.
    TooManyAppPasswords,
    /// The store's own trouble.
    Store(Error),
}

impl From<Error> for UserError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for UserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(malformed) => write!(f, "not a user name: {malformed}"),
            Self::Exists => f.write_str("there is such a user already"),
            Self::NoSuchUser => f.write_str("there is no such user"),
            Self::PasswordTooShort(min) => write!(f, "the password needs at least {min} characters"),
            Self::PasswordTooLong => write!(f, "the password is longer than {PASSWORD_OCTETS_MAX} octets"),
            Self::TooManyAppPasswords => write!(f, "a user may have {APP_PASSWORDS_MAX} app passwords"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UserError {}

/// What to change about a user; `None` leaves it as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// A new name for people.
    pub display: Option<String>,
    /// New roles.
    pub roles: Option<Vec<Role>>,
    /// Whether they may log in.
    pub state: Option<UserState>,
}

/// The one list of users that all protocols ask.
pub struct Users {
    store: Arc<dyn Store>,
    workers: Workers,
    verified: Mutex<VerifiedLogins>,
    options: UserOptions,
    /// A hash of nobody's password: checked for unknown users, so that they take as long as known ones.
    nobody: String,
    /// The secret of [`SCRAM_KEY`], once it was read.
    scram_key: OnceLock<[u8; 32]>,
}

/// What a new password leaves in the store.
#[derive(Clone)]
struct Hashed {
    password: String,
    scram: Option<ScramVerifier>,
}

impl Users {
    /// The users in `store`.
    ///
    /// # Errors
    /// [`Error::Local`] when threads cannot be started or argon2 does not take the preset.
    pub fn new(store: Arc<dyn Store>, options: UserOptions) -> Result<Self> {
        let mut key = [0; 32];
        (options.entropy)(&mut key);
        let nobody = hash(&hex(&key), &[0; SALT_OCTETS], options.preset)
            .ok_or_else(|| Error::Local("argon2 does not take this preset".into()))?;
        let limit = Limit::built_in("auth.checks_max", CHECKS_MAX);
        let workers = Workers::new("store-password", options.threads, limit)?;
        // The key of the table is another one than what went into the hash above.
        (options.entropy)(&mut key);
        let verified = Mutex::new(VerifiedLogins::new(key));
        Ok(Self { store, workers, verified, options, nobody, scram_key: OnceLock::new() })
    }

    /// Adds a user, durably. Without a password only app passwords will open the account.
    ///
    /// # Errors
    /// [`UserError`] as its variants say.
    pub async fn add(
        &self,
        name: &str,
        display: &str,
        roles: &[Role],
        password: Option<&str>,
        now: UnixTime,
    ) -> std::result::Result<User, UserError> {
        let name = user_name(name).map_err(UserError::Name)?;
        let key = user_key(&name);
        if row(&*self.store, &key).await?.is_some() {
            return Err(UserError::Exists);
        }
        let password = match password {
            Some(password) => Some(self.hash(password).await?),
            None => None,
        };
        // The number is drawn first: a row holds its own user's number.
        let (batch, _) = Batch::new().next_id(NEXT_ID);
        let receipt = self.store.commit(batch).await?;
        let id = receipt.numbers.first().copied().unwrap_or_default().cast_unsigned();
        let user = User {
            id,
            name,
            display: display.to_owned(),
            roles: in_order(roles),
            state: UserState::Active,
            created: now,
            changed: now,
        };
        let (password, scram) = password.map_or((None, None), |hashed| (Some(hashed.password), hashed.scram));
        let account = Account { user, password, scram };
        match self.store.commit(Batch::new().absent(key.clone()).put(key, account.encode())).await {
            Ok(_) => Ok(account.user),
            Err(Error::Conflict(_)) => Err(UserError::Exists),
            Err(error) => Err(error.into()),
        }
    }

    /// A user by name; `None` when there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn user(&self, name: &str) -> Result<Option<User>> {
        let Ok(name) = user_name(name) else { return Ok(None) };
        Ok(self.account(&name).await?.map(|(account, _)| account.user))
    }

    /// All users, by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<User>> {
        let found = rows(&*self.store, Range::prefix(&Key::from(USERS))).await?;
        found.iter().map(|(key, row)| Ok(decode(key, row)?.user)).collect()
    }

    /// Changes a user, durably. Ends what was remembered of their logins.
    ///
    /// # Errors
    /// [`UserError::NoSuchUser`], or the store's.
    pub async fn change(
        &self,
        name: &str,
        change: &UserChange,
        now: UnixTime,
    ) -> std::result::Result<User, UserError> {
        self.update(name, now, |account| {
            if let Some(display) = &change.display {
                account.user.display.clone_from(display);
            }
            if let Some(roles) = &change.roles {
                account.user.roles = in_order(roles);
            }
            if let Some(state) = change.state {
                account.user.state = state;
            }
        })
        .await
    }

    /// Gives a user a new password, durably. Ends what was remembered of their logins.
    ///
    /// # Errors
    /// [`UserError`] as its variants say.
    pub async fn set_password(
        &self,
        name: &str,
        password: &str,
        now: UnixTime,
    ) -> std::result::Result<User, UserError> {
        let hashed = self.hash(password).await?;
        let set = |account: &mut Account| {
            account.password = Some(hashed.password.clone());
            account.scram.clone_from(&hashed.scram);
        };
        self.update(name, now, set).await
    }

    /// Removes a user and their app passwords, durably.
    ///
    /// # Errors
    /// [`UserError::NoSuchUser`], or the store's.
    pub async fn remove(&self, name: &str) -> std::result::Result<(), UserError> {
        let name = user_name(name).map_err(UserError::Name)?;
        let Some((_, row)) = self.account(&name).await? else { return Err(UserError::NoSuchUser) };
        let key = user_key(&name);
        let mut batch = Batch::new().version(key.clone(), row.version).delete(key);
        for prefix in [app_prefix(&name), app_used_prefix(&name)] {
            for (key, _) in rows(&*self.store, Range::prefix(&prefix)).await? {
                batch = batch.delete(key);
            }
        }
        self.store.commit(batch).await?;
        Ok(())
    }

    /// Makes an app password and gives its secret, which is not kept and cannot be shown again.
    ///
    /// # Errors
    /// [`UserError`] as its variants say.
    pub async fn add_app_password(
        &self,
        name: &str,
        label: &str,
        protocols: &[&str],
        expires: Option<UnixTime>,
        now: UnixTime,
    ) -> std::result::Result<String, UserError> {
        let name = user_name(name).map_err(UserError::Name)?;
        let Some((_, row)) = self.account(&name).await? else { return Err(UserError::NoSuchUser) };
        if self.app_passwords(&name).await?.len() >= APP_PASSWORDS_MAX {
            return Err(UserError::TooManyAppPasswords);
        }
        let mut random = [0; APP_PASSWORD_OCTETS];
        (self.options.entropy)(&mut random);
        let secret = app_secret(&random);
        let hash = app_hash(&secret).expect("a secret just made is one");
        let password = AppPassword {
            id: hex(&hash[..16]),
            label: label.to_owned(),
            protocols: protocols.iter().map(|protocol| (*protocol).to_owned()).collect(),
            created: now,
            expires,
            last_use: None,
        };
        let key = app_prefix(&name).join(&hash[..16]);
        let batch = Batch::new().version(user_key(&name), row.version).put(key, password.encode(&hash));
        self.store.commit(batch).await?;
        Ok(secret)
    }

    /// A user's app passwords, without their secrets.
    ///
    /// # Errors
    /// The store's.
    pub async fn app_passwords(&self, name: &str) -> Result<Vec<AppPassword>> {
        let Ok(name) = user_name(name) else { return Ok(Vec::new()) };
        let mut passwords = Vec::new();
        for (key, found) in rows(&*self.store, Range::prefix(&app_prefix(&name))).await? {
            let mut password = decode_app(&key, &found)?;
            let id = key.after(&app_prefix(&name)).unwrap_or_default();
            let used = row(&*self.store, &app_used_prefix(&name).join(id)).await?;
            password.last_use =
                used.and_then(|used| used.number()).map(|nanos| UnixTime::from_nanos(nanos.cast_unsigned()));
            passwords.push(password);
        }
        Ok(passwords)
    }

    /// Removes an app password by its [`AppPassword::id`].
    ///
    /// # Errors
    /// [`UserError::NoSuchUser`] when there is none, or the store's.
    pub async fn remove_app_password(&self, name: &str, id: &str) -> std::result::Result<(), UserError> {
        let name = user_name(name).map_err(UserError::Name)?;
        for (key, found) in rows(&*self.store, Range::prefix(&app_prefix(&name))).await? {
            if decode_app(&key, &found)?.id == id {
                let used = app_used_prefix(&name).join(key.after(&app_prefix(&name)).unwrap_or_default());
                self.store.commit(Batch::new().delete(key).delete(used)).await?;
                return Ok(());
            }
        }
        Err(UserError::NoSuchUser)
    }

    /// Watches that tell of changes to users and to app passwords, for whoever remembers logins.
    #[must_use]
    pub fn watches(&self) -> [Watch; 2] {
        [USERS, APP_PASSWORDS].map(|prefix| self.store.watch(Key::from(prefix)))
    }

    /// Checks a name and a password for a protocol such as `imap`.
    ///
    /// # Errors
    /// [`LoginError::Denied`] whatever the reason, after the same work; [`LoginError::Unavailable`] when
    /// too many checks wait or the store has trouble.
    pub async fn login(
        &self,
        name: &str,
        password: &str,
        protocol: &str,
        now: UnixTime,
    ) -> std::result::Result<Login, LoginError> {
        if password.len() > PASSWORD_OCTETS_MAX {
            return Err(LoginError::Denied);
        }
        // What is no user name is looked up all the same, as nobody's.
        let name = user_name(name).unwrap_or_default();
        let account = self.account(&name).await?;
        if let Some((account, _)) = &account
            && let Some(app) = self.app_login(&name, password, protocol, now).await?
        {
            return self.admit(account.user.clone(), Some(app.label));
        }
        let (stored, version) = match &account {
            Some((account, row)) => (account.password.as_deref().unwrap_or(&self.nobody), row.version),
            None => (&*self.nobody, 0),
        };
        if let Some((account, _)) = &account
            && lock(&self.verified).knows(&name, password, version, now)
        {
            return self.admit(account.user.clone(), None);
        }
        let (given, kept) = (password.to_owned(), stored.to_owned());
        let is_right = self.workers.run(move || Ok(verify(&given, &kept))).await?;
        let Some((account, row)) = account.filter(|(account, _)| is_right && account.password.is_some())
        else {
            return Err(LoginError::Denied);
        };
        let login = self.admit(account.user.clone(), None)?;
        let version = self.renew_hash(account, &row, password).await.unwrap_or(row.version);
        lock(&self.verified).remember(&name, password, version, now);
        Ok(login)
    }

    /// What SCRAM needs to check a login: a verifier, whoever the name is, and the user if one may log in.
    /// Names that nobody has, and users whose password SCRAM knows nothing of, cannot be told from others.
    ///
    /// # Errors
    /// The store's.
    pub async fn scram(&self, name: &str) -> Result<(ScramVerifier, Option<User>)> {
        let name = user_name(name).unwrap_or_default();
        let account = self.account(&name).await?;
        let key = self.scram_key().await?;
        if let Some((Account { user, scram: Some(verifier), .. }, _)) = account {
            let user = Some(user).filter(|user| user.state == UserState::Active);
            return Ok((verifier, user));
        }
        let iterations = self.options.scram_iterations.max(1);
        Ok((ScramVerifier::of_nobody(&key, &name, iterations), None))
    }

    /// The secret from which the salts of unknown users come: the same after a restart, for theirs must not
    /// change where those of known users do not.
    async fn scram_key(&self) -> Result<[u8; 32]> {
        if let Some(key) = self.scram_key.get() {
            return Ok(*key);
        }
        let mut fresh = [0; 32];
        (self.options.entropy)(&mut fresh);
        let batch = Batch::new().absent(SCRAM_KEY).put(SCRAM_KEY, fresh.to_vec());
        let key = match self.store.commit(batch).await {
            Ok(_) => fresh,
            Err(Error::Conflict(_)) => {
                let kept = row(&*self.store, &Key::from(SCRAM_KEY)).await?;
                let key = kept.and_then(|row| row.value[..].try_into().ok());
                key.ok_or_else(|| Error::damaged(format!("row {SCRAM_KEY} is no secret")))?
            }
            Err(error) => return Err(error),
        };
        Ok(*self.scram_key.get_or_init(|| key))
    }

    fn admit(&self, user: User, app_password: Option<String>) -> std::result::Result<Login, LoginError> {
        match user.state {
            UserState::Active => Ok(Login { user, app_password }),
            UserState::Suspended => Err(LoginError::Denied),
        }
    }

    /// The app password that `secret` is, if it is one that opens this protocol now.
    async fn app_login(
        &self,
        name: &str,
        secret: &str,
        protocol: &str,
        now: UnixTime,
    ) -> Result<Option<AppPassword>> {
        let Some(hash) = app_hash(secret) else { return Ok(None) };
        let key = app_prefix(name).join(&hash[..16]);
        let used_key = app_used_prefix(name).join(&hash[..16]);
        let found = self.store.get(&[key.clone(), used_key.clone()]).await?;
        let [Some(found), used] = &found[..] else { return Ok(None) };
        let (password, kept) = AppPassword::decode(&found.value)
            .map_err(|error| Error::damaged(format!("app password {key}: {error}")))?;
        // 128 random bits went into both hashes: how long comparing them takes tells nothing.
        if kept != hash || !password.opens(protocol, now) {
            return Ok(None);
        }
        let last = used.as_ref().and_then(Row::number).map_or(0, i64::cast_unsigned);
        if UnixTime::from_nanos(last).as_secs() + LAST_USE_STEP_SECONDS <= now.as_secs() {
            let stamp = now.as_nanos().to_be_bytes().to_vec();
            let batch = Batch::new().durability(Durability::Process).put(used_key, stamp);
            // Nobody waits for this, and a login does not fail because of it.
            drop(self.store.commit(batch));
        }
        Ok(Some(password))
    }

    /// Hashes a password anew when the preset has changed since, or SCRAM knows nothing of it; gives the
    /// row's new version.
    async fn renew_hash(&self, mut account: Account, row: &Row, password: &str) -> Option<u64> {
        let outdated = account.password.as_deref().is_some_and(|kept| is_outdated(kept, self.options.preset));
        let kept = account.scram.as_ref().map_or(0, |scram| scram.iterations);
        if !outdated && kept == self.options.scram_iterations {
            return None;
        }
        let hashed = self.hash_unchecked(password).await.ok()?;
        account.password = Some(hashed.password);
        account.scram = hashed.scram;
        let key = user_key(&account.user.name);
        let batch = Batch::new().version(key.clone(), row.version).put(key, account.encode());
        // When it does not succeed the old hash still serves.
        Some(self.store.commit(batch).await.ok()?.seq)
    }

    async fn hash(&self, password: &str) -> std::result::Result<Hashed, UserError> {
        if password.chars().count() < self.options.password_min {
            return Err(UserError::PasswordTooShort(self.options.password_min));
        }
        if password.len() > PASSWORD_OCTETS_MAX {
            return Err(UserError::PasswordTooLong);
        }
        Ok(self.hash_unchecked(password).await?)
    }

    async fn hash_unchecked(&self, password: &str) -> Result<Hashed> {
        let (password, preset) = (password.to_owned(), self.options.preset);
        let (mut salt, mut scram_salt) = ([0; SALT_OCTETS], [0; SCRAM_SALT_OCTETS]);
        (self.options.entropy)(&mut salt);
        (self.options.entropy)(&mut scram_salt);
        let iterations = self.options.scram_iterations;
        let job = move || {
            let hash = hash(&password, &salt, preset)
                .ok_or_else(|| Error::Local("argon2 does not take this preset".into()))?;
            let scram = (iterations > 0).then(|| ScramVerifier::derive(&password, scram_salt, iterations));
            Ok(Hashed { password: hash, scram })
        };
        self.workers.run(job).await
    }

    async fn account(&self, name: &str) -> Result<Option<(Account, Row)>> {
        let key = user_key(name);
        let Some(row) = row(&*self.store, &key).await? else { return Ok(None) };
        Ok(Some((decode(&key, &row)?, row)))
    }

    /// Reads, changes and writes a user, again if somebody else was faster.
    async fn update(
        &self,
        name: &str,
        now: UnixTime,
        change: impl Fn(&mut Account),
    ) -> std::result::Result<User, UserError> {
        let name = user_name(name).map_err(UserError::Name)?;
        loop {
            let Some((mut account, row)) = self.account(&name).await? else {
                return Err(UserError::NoSuchUser);
            };
            change(&mut account);
            account.user.changed = now;
            let key = user_key(&name);
            match self
                .store
                .commit(Batch::new().version(key.clone(), row.version).put(key, account.encode()))
                .await
            {
                Ok(_) => return Ok(account.user),
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn in_order(roles: &[Role]) -> Vec<Role> {
    Role::ALL.into_iter().filter(|role| roles.contains(role)).collect()
}

fn decode(key: &Key, row: &Row) -> Result<Account> {
    Account::decode(&row.value).map_err(|error| Error::damaged(format!("row {key}: {error}")))
}

fn decode_app(key: &Key, row: &Row) -> Result<AppPassword> {
    let decoded = AppPassword::decode(&row.value);
    Ok(decoded.map_err(|error| Error::damaged(format!("row {key}: {error}")))?.0)
}
