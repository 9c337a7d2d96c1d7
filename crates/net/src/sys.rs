//! The only `unsafe` code of Doorway that talks to the operating system. Each file is one facility.

pub(crate) mod accept;
pub(crate) mod interfaces;
pub(crate) mod memory;
pub(crate) mod mmsg;
pub(crate) mod option;
pub(crate) mod packet;
pub(crate) mod prefetch;
pub(crate) mod readable;
pub(crate) mod user;
