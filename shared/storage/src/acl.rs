//! An object's grants, which no copy carries by itself: the copy belongs to whoever wrote it and is private, unless it is told otherwise.

use aws_sdk_s3::types::{Grant, Grantee, Permission};

use crate::error::StorageError;
use crate::store::Store;

/// Who may do what, as the headers of a request say it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Grants {
    full_control: Vec<String>,
    read: Vec<String>,
    read_acp: Vec<String>,
    write_acp: Vec<String>,
}

impl Store {
    /// Gives the object `to` the grants that `from` of `source` has to others than its owner; its own owner keeps full control. Grantees are
    /// named as the source's endpoint names them, so that an endpoint with other accounts refuses them.
    pub async fn copy_acl(&self, source: &Store, from: &str, to: &str) -> Result<(), StorageError> {
        let request = source.client.get_object_acl().bucket(source.bucket()).key(from).send();
        let theirs = source.ask(source.target("read the grants of", Some(from)), request).await?;
        let mut grants = Grants::to_others(theirs.owner().and_then(|owner| owner.id()), theirs.grants());
        if grants == Grants::default() {
            return Ok(());
        }
        let request = self.client.get_object_acl().bucket(self.bucket()).key(to).send();
        let ours = self.ask(self.target("read the grants of", Some(to)), request).await?;
        grants.full_control.extend(ours.owner().and_then(|owner| owner.id()).map(|id| format!("id=\"{id}\"")));
        let header = |grantees: Vec<String>| (!grantees.is_empty()).then(|| grantees.join(", "));
        let request = self
            .client
            .put_object_acl()
            .bucket(self.bucket())
            .key(to)
            .set_grant_full_control(header(grants.full_control))
            .set_grant_read(header(grants.read))
            .set_grant_read_acp(header(grants.read_acp))
            .set_grant_write_acp(header(grants.write_acp))
            .send();
        self.call(self.target("write the grants of", Some(to)), 0, request).await.map(drop)
    }
}

impl Grants {
    fn to_others(owner: Option<&str>, grants: &[Grant]) -> Self {
        let mut found = Self::default();
        let others = grants.iter().filter_map(|grant| Some((grant.permission()?, named(grant.grantee()?, owner)?)));
        for (permission, grantee) in others {
            match permission {
                Permission::FullControl => found.full_control.push(grantee),
                Permission::Read => found.read.push(grantee),
                Permission::ReadAcp => found.read_acp.push(grantee),
                Permission::WriteAcp => found.write_acp.push(grantee),
                // To write an object is a permission of its bucket.
                _ => {}
            }
        }
        found
    }
}

/// A grantee other than the owner, as the headers name it.
fn named(grantee: &Grantee, owner: Option<&str>) -> Option<String> {
    match (grantee.uri(), grantee.id()) {
        (Some(uri), _) => Some(format!("uri=\"{uri}\"")),
        (None, Some(id)) if Some(id) != owner => Some(format!("id=\"{id}\"")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::types::Type;

    #[test]
    fn grants_to_others_are_carried_and_the_owners_own_are_not() {
        let to = |kind, id: Option<&str>, uri: Option<&str>, permission| {
            let grantee = Grantee::builder().r#type(kind).set_id(id.map(Into::into)).set_uri(uri.map(Into::into));
            Grant::builder().grantee(grantee.build().unwrap()).permission(permission).build()
        };
        let all = "http://acs.amazonaws.com/groups/global/AllUsers";
        let grants = [
            to(Type::CanonicalUser, Some("me"), None, Permission::FullControl),
            to(Type::Group, None, Some(all), Permission::Read),
            to(Type::CanonicalUser, Some("you"), None, Permission::ReadAcp),
        ];
        let wanted = Grants {
            read: vec![format!("uri=\"{all}\"")],
            read_acp: vec!["id=\"you\"".to_owned()],
            ..Grants::default()
        };
        assert_eq!(Grants::to_others(Some("me"), &grants), wanted);
        assert_eq!(Grants::to_others(Some("me"), &grants[..1]), Grants::default());
    }
}
