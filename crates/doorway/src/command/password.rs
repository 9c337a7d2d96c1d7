//! Where a password comes from: standard input, or our own making.

use std::io::{self, BufRead};

use crate::cli::PasswordArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::first_run;

/// Longest password that is taken, in octets.
const PASSWORD_OCTETS_MAX: u64 = 1024;

/// A password, and whether it was made here and has to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Password {
    /// The password itself.
    pub(super) text: String,
    /// Whether nobody knows it yet.
    pub(super) is_new: bool,
}

/// The first line of standard input with `--password-stdin`, else a new one.
///
/// # Errors
/// When the line is empty, too long or not UTF-8.
pub(super) fn ask(args: &PasswordArgs) -> Result<Password, Failure> {
    if args.password_stdin {
        return Ok(Password { text: first_line(io::stdin().lock())?, is_new: false });
    }
    Ok(Password { text: first_run::password(), is_new: true })
}

/// The first line of `input`.
///
/// # Errors
/// As [`ask`].
pub(super) fn first_line(input: impl BufRead) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::new("standard input holds no password").why(why).exit(Exit::Wrong);
    let mut line = String::new();
    input.take(PASSWORD_OCTETS_MAX + 2).read_line(&mut line).map_err(|error| wrong(&error.to_string()))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(
            wrong("its first line is empty").fix("pipe the password in: printf '%s' … | doorway user add …")
        );
    }
    if password.len() as u64 > PASSWORD_OCTETS_MAX {
        return Err(wrong("its first line is longer than 1024 octets"));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        let longest = "x".repeat(1024);
        for (input, password) in [
            ("hush", "hush"),
            ("hush\n", "hush"),
            ("hush\r\nnext", "hush"),
            (" hush \n", " hush "),
            (&longest, &longest),
        ] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), password);
        }
        let too_long = "x".repeat(1025);
        for input in ["", "\n", "\r\n", too_long.as_str()] {
            assert_eq!(first_line(input.as_bytes()).unwrap_err().exit, Exit::Wrong);
        }
        assert!(first_line([0xff, b'\n'].as_slice()).is_err());
    }
}
