//! A form as a handler wants it: fields as text, files on disk.
//!
//! A file that was sent has no name on disk until somebody keeps it, so nothing is left behind when the client
//! goes away or the process ends.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use doorway_net::web::{Body, Bytes, Request};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat};

use crate::form::{Encoding, FormLimits, Multipart, Part, Urlencoded, file_name};
use crate::wire::rule::Refusal;

/// A form that was sent.
#[derive(Debug, Default)]
pub struct Submitted {
    /// Names and values of fields, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// Files, likewise.
    pub files: Vec<Upload>,
}

/// A file of a form.
#[derive(Debug)]
pub struct Upload {
    /// The name of the field.
    pub field: String,
    /// A name that may stand in a folder, made of the one that the client gave; `None` when it gave none, as for
    /// a field in which no file was chosen.
    pub name: Option<String>,
    /// Its Content-Type as the client said, which proves nothing.
    pub media_type: Option<String>,
    /// Its length.
    pub octets: u64,
    file: File,
}

/// Why a form could not be read.
#[derive(Debug)]
pub enum FormError {
    /// It breaks a rule; [`Refusal::status`] is the answer.
    Refused(Refusal),
    /// The client broke off, or the disk did not take the octets.
    Io(io::Error),
}

impl From<Refusal> for FormError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for FormError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Submitted {
    /// Reads the form in a request's body, and takes the body out. Files go to `folder`, which must be on the disk
    /// on which they may be kept. The whole is bounded by what the server takes as a body; ask for the body as
    /// [`doorway_net::web::Taking::Stream`], so that files need no memory.
    ///
    /// # Errors
    /// [`FormError`] as its variants say.
    pub async fn read(request: &mut Request, folder: &Path, limits: FormLimits) -> Result<Self, FormError> {
        let encoding = Encoding::of(request.fields.first("Content-Type").unwrap_or_default())?;
        let mut pieces = Pieces(std::mem::take(&mut request.body));
        match encoding {
            Encoding::Urlencoded => {
                let (mut form, mut parser) = (Self::default(), Urlencoded::new(limits));
                while let Some(piece) = pieces.next().await? {
                    parser.read(&piece, &mut form.fields)?;
                }
                form.fields.extend(parser.end()?);
                Ok(form)
            }
            Encoding::Multipart(boundary) => Self::parts(pieces, &boundary, folder, limits).await,
        }
    }

    async fn parts(
        mut pieces: Pieces,
        boundary: &str,
        folder: &Path,
        limits: FormLimits,
    ) -> Result<Self, FormError> {
        let mut form = Self::default();
        let mut parser = Multipart::new(boundary, limits);
        let mut waiting = Vec::new();
        let mut target = Target::Nothing;
        loop {
            let piece = pieces.next().await?;
            waiting.extend_from_slice(piece.as_deref().unwrap_or_default());
            let mut used = 0;
            loop {
                let (more, part) = parser.next(&waiting[used..], piece.is_none())?;
                used += more;
                match part {
                    Part::More => break,
                    Part::Head(head) => {
                        target = match head.file {
                            None => Target::Field(head.name, Vec::new()),
                            Some(given) => Target::File(Upload {
                                field: head.name,
                                name: file_name(&given),
                                media_type: head.media_type,
                                octets: 0,
                                file: unnamed(folder)?,
                            }),
                        };
                    }
                    Part::Data(data) => match &mut target {
                        Target::Nothing => {}
                        Target::Field(_, value) => value.extend_from_slice(data),
                        Target::File(upload) => {
                            upload.file.write_all(data)?;
                            upload.octets += data.len() as u64;
                        }
                    },
                    Part::End => match std::mem::replace(&mut target, Target::Nothing) {
                        Target::Nothing => {}
                        Target::Field(name, value) => {
                            let value = String::from_utf8(value);
                            let value = value.map_err(|_| Refusal::new(&crate::form::rule::UTF8, 0))?;
                            form.fields.push((name, value));
                        }
                        Target::File(upload) => form.files.push(upload),
                    },
                    Part::Over => {
                        // What follows the last boundary is read and means nothing.
                        while pieces.next().await?.is_some() {}
                        return Ok(form);
                    }
                }
            }
            waiting.drain(..used);
        }
    }

    /// The value of the first field with this name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field that makes sense only once.
    ///
    /// # Errors
    /// [`crate::form::rule::SAME_FIELD`] when it came more than once.
    pub fn only(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values =
            self.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Refusal::new(&crate::form::rule::SAME_FIELD, 0)),
        }
    }
}

impl Upload {
    /// The file, at whatever place it was written to last.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file a name, which must not be taken. With `durable` it survives a power cut once this
    /// returns.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep(&self, path: &Path, durable: bool) -> io::Result<()> {
        if durable {
            self.file.sync_all()?;
        }
        let open = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        linkat(CWD, open.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?;
        if durable && let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// A file without a name on the disk of `folder`.
fn unnamed(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Where the octets of the part at hand go.
enum Target {
    Nothing,
    Field(String, Vec<u8>),
    File(Upload),
}

/// A body piece by piece, however it came.
struct Pieces(Body);

impl Pieces {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.0 {
            Body::Empty => Ok(None),
            Body::Whole(octets) => {
                let octets = std::mem::take(octets);
                self.0 = Body::Empty;
                Ok(Some(octets))
            }
            Body::Stream(stream) => {
                std::future::poll_fn(|cx| stream.as_mut().poll_piece(cx)).await.transpose()
            }
        }
    }
}
