//! The list of abilities: what is probed, what each means for a migration, and what can be found.

use std::fmt;
use std::str::FromStr;

macro_rules! abilities {
    ($($variant:ident $code:literal $meaning:literal $without:literal;)+) => {
        /// Something that a store may be able to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Ability {
            $(#[doc = $meaning] $variant,)+
        }

        impl Ability {
            /// All, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What is tried.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }

            /// What a migration does where the store cannot.
            pub const fn without(self) -> &'static str {
                match self { $(Self::$variant => $without,)+ }
            }
        }
    };
}

abilities! {
    List "list"
        "Objects can be listed." "Nothing: it is needed.";
    Read "read"
        "Objects can be described and read." "Nothing: it is needed.";
    Write "write"
        "Objects can be written and are listed at once." "A target needs it.";
    Delete "delete"
        "Objects can be removed." "A target needs it.";
    ReadIfMatch "read-if-match"
        "A read with `If-Match` of another version is refused." "Honk compares the version that comes with the bytes.";
    WriteIfAbsent "write-if-absent"
        "A write with `If-None-Match: *` is refused where an object is." "Honk lists before it writes and compares after it; it never relies on this.";
    WriteIfMatch "write-if-match"
        "A write with `If-Match` is refused where another version is." "Do not use such a store as a lock. Honk does not: its locks are in JetStream.";
    DigestChecked "digest-checked"
        "A body that is not what its `Content-MD5` says is refused." "Honk compares the `ETag`, or reads the object again.";
    Checksums "checksums"
        "A CRC-64/NVME that comes with an object is kept and told." "Objects whose `ETag`s differ are read to be compared.";
    EtagIsMd5 "etag-is-md5"
        "The `ETag` of a plain upload is its MD5." "Objects are read to be compared: set `etag_is_md5 = false` for the endpoint.";
    Headers "headers"
        "Content headers and user metadata are kept." "They are lost at such a target.";
    Tags "tags"
        "Tags are kept." "Objects arrive without tags.";
    Copy "copy"
        "The server copies objects by itself." "Copies inside the store fail: name source and target by two spellings of its endpoint, such as an address and a name.";
    CopyHeaders "copy-headers"
        "A server-side copy keeps headers and user metadata." "They are lost by copies inside the store.";
    CopyIfMatch "copy-if-match"
        "A server-side copy of another version than the one asked for is refused." "A version that came in between is found when the copy is verified.";
    Parts "multipart"
        "Large objects can be uploaded in parts." "Objects go in one request; those over 5 GiB fail.";
    PartsHeaders "multipart-headers"
        "An object made of parts keeps headers and user metadata." "They are lost for large objects.";
    PartsEtag "multipart-etag"
        "The `ETag` of an object made of parts is made of its parts' MD5s." "Large objects are proved by what was hashed on the way, or by reading them.";
    PartCopy "part-copy"
        "The server copies parts by itself." "Objects over 5 GiB cannot be copied inside the store.";
    Abort "abort"
        "An upload in parts can be given up." "Unfinished uploads stay and cost space until the store's own rules remove them.";
    OddKeys "odd-keys"
        "Keys with spaces, `+`, `%`, `&`, quotes and letters of any script are kept." "Objects with such keys fail, by name.";
    DotKeys "dot-keys"
        "Keys with `..`, `.` and empty names between slashes are kept." "Objects with such keys fail, by name.";
    FolderMarkers "folder-markers"
        "Empty objects and keys that end with a slash are kept." "Folder markers fail, by name.";
    Neighbours "neighbours"
        "`a` and `a/b` can both be objects." "One of such two fails, by name.";
    LongKeys "long-keys"
        "Keys of 1,024 bytes are kept." "Objects with longer keys than the store takes fail, by name.";
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The store does it.
    Yes,
    /// The store accepts the request and does not do what it asks.
    Ignored,
    /// The store refuses, and how.
    No(String),
}

impl Finding {
    /// Whether the store does it.
    pub fn is_yes(&self) -> bool {
        *self == Self::Yes
    }

    pub(super) fn yes_if(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::Ignored }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::Ignored => f.write_str("ignored"),
            Self::No(how) => write!(f, "no: {how}"),
        }
    }
}

/// A text that is no ability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that a store is probed for; docs/STORES.md has the list")]
pub struct UnknownAbility(String);

impl FromStr for Ability {
    type Err = UnknownAbility;

    fn from_str(code: &str) -> Result<Self, UnknownAbility> {
        Self::ALL.iter().copied().find(|one| one.code() == code).ok_or_else(|| UnknownAbility(code.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_back() {
        for ability in Ability::ALL {
            assert_eq!(ability.code().parse(), Ok(*ability));
        }
        assert!("teleport".parse::<Ability>().unwrap_err().to_string().contains("teleport"));
    }
}
