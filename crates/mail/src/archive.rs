//! The forms in which mailboxes are handed over: Maildir folders and mbox files. Here are their names, lines
//! and letters; `io/export` and `io/import` read and write them.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `line_end` | CRLF, as messages have it here, and LF, as files have it |
//! | `maildir` | names of folders and files, flags in letters (Maildir++) |
//! | `mbox` | the line that begins a message, quoting of such lines (mboxrd), flags in header fields |
//! | `utf7` | names of folders in ASCII (RFC 3501 §5.1.3) |

pub mod line_end;
pub mod maildir;
pub mod mbox;
pub mod utf7;
