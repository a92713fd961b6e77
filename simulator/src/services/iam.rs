//! IAM principals: roles and users that exist, do not exist yet, are gone, or were recreated under the same name.

use crate::operation::{Answer, ApiError, Page, element};
use crate::state::principal::{Principal, title};
use crate::state::resource::Resource;
use crate::world::World;

impl World {
    /// The role or user of an account by its name alone, which is unique in it whatever the path (facts §5; "IAM identifiers"
    /// in the IAM User Guide).
    pub(crate) fn principal_named(&self, account: &str, kind: &str, name: &str) -> Option<&Principal> {
        self.principals.values().find(|principal| {
            let Resource { account: owner, kind: is, name: called, .. } = Resource::of(&principal.arn);
            (owner, is, called) == (account, kind, name) && principal.life_at(self.now).is_some()
        })
    }

    /// `GetRole` and `GetUser`.
    pub(crate) fn get_principal(&self, account: &str, kind: &str, name: &str) -> Result<Answer, ApiError> {
        let found = self.principal_named(account, kind, name);
        match found.and_then(|principal| principal.shown(self.now)) {
            Some(shown) => Ok(Answer::Xml(format!("<{title}>{shown}</{title}>", title = title(kind)))),
            None => Err(ApiError::no_such_entity(format!("The {kind} with name {name} cannot be found."))),
        }
    }

    /// `ListRoles` and `ListUsers`: the living ones of an account, in order of name, in pages of 100, or of up to 1,000
    /// (`ListRoles` in the IAM API reference).
    pub(crate) fn list_principals(
        &self,
        account: &str,
        kind: &str,
        path_prefix: Option<&str>,
        page: &Page,
    ) -> Result<Answer, ApiError> {
        let most = page.max_results.unwrap_or(100);
        if !(1..=1000).contains(&most) {
            return Err(ApiError::validation(
                "1 validation error detected: Value at 'maxItems' failed to satisfy constraint",
            ));
        }
        let from: usize =
            page.next_token.as_deref().map_or(Ok(0), str::parse).map_err(|_| ApiError::validation("Invalid Marker"))?;
        let mut all: Vec<&Principal> = self
            .principals
            .values()
            .filter(|principal| {
                let Resource { account: owner, kind: is, .. } = Resource::of(&principal.arn);
                (owner, is) == (account, kind)
                    && principal.path().starts_with(path_prefix.unwrap_or("/"))
                    && principal.life_at(self.now).is_some()
            })
            .collect();
        all.sort_by_key(|principal| Resource::of(&principal.arn).name);
        let shown = all.iter().skip(from).take(most).filter_map(|principal| principal.shown(self.now));
        let members: Vec<String> = shown.map(|shown| format!("<member>{shown}</member>")).collect();
        let end = from.saturating_add(most);
        let truncated = end < all.len();
        let marker = if truncated { element("Marker", &end.to_string()) } else { String::new() };
        let list = format!("{}s", title(kind));
        Ok(Answer::Xml(format!(
            "<{list}>{}</{list}>{}{marker}",
            members.concat(),
            element("IsTruncated", &truncated.to_string())
        )))
    }
}
