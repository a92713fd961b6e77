//! The names that documents, templates and workflows repeat. `docs/schemas/contract.json` lists them all.

/// An enum of codes, each with its text.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($variant:ident,)+ }) => {
        $crate::domain::codes::codes! { $(#[$meta])* $name { $($variant = stringify!($variant),)+ } }
    };
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:expr,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the documents say what each means")]
        pub enum $name {
            $($variant,)+
        }

        impl $name {
            /// All of them, in the order of the documents.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// The `status` of a result, and its `plannedStatus`.
    Status {
        Granted = "GRANTED",
        AlreadyGranted = "ALREADY_GRANTED",
        InProgress = "IN_PROGRESS",
        Planned = "PLANNED",
        Revoked = "REVOKED",
        NothingToRevoke = "NOTHING_TO_REVOKE",
        Superseded = "SUPERSEDED",
        Inspected = "INSPECTED",
    }
}

impl Status {
    /// Whether the principal has the access that was asked for.
    #[must_use]
    pub fn access_is_effective(self) -> bool {
        matches!(self, Self::Granted | Self::AlreadyGranted)
    }
}

codes! {
    /// The code of a warning.
    WarningCode {
        AccessIsPermanent = "ACCESS_IS_PERMANENT",
        AccessMayPersist = "ACCESS_MAY_PERSIST",
        AnnouncementFailed = "ANNOUNCEMENT_FAILED",
        AuthenticationModeChanged = "AUTHENTICATION_MODE_CHANGED",
        AuthenticationModeChanging = "AUTHENTICATION_MODE_CHANGING",
        AuthenticationModeStays = "AUTHENTICATION_MODE_STAYS",
        AwsAuthOverridden = "AWS_AUTH_OVERRIDDEN",
        ClusterHealth = "CLUSTER_HEALTH",
        EntryKept = "ENTRY_KEPT",
        EntryRecreated = "ENTRY_RECREATED",
        EntryReplaced = "ENTRY_REPLACED",
        ExpiryAltered = "EXPIRY_ALTERED",
        ExpiryUnknown = "EXPIRY_UNKNOWN",
        FindingsTruncated = "FINDINGS_TRUNCATED",
        ForeignAccount = "FOREIGN_ACCOUNT",
        InspectionIncomplete = "INSPECTION_INCOMPLETE",
        KubernetesAccessDenied = "KUBERNETES_ACCESS_DENIED",
        KubernetesAccessRemains = "KUBERNETES_ACCESS_REMAINS",
        ManagedElsewhere = "MANAGED_ELSEWHERE",
        NodeRolesUnknown = "NODE_ROLES_UNKNOWN",
        OwnershipUnknown = "OWNERSHIP_UNKNOWN",
        PrivateEndpoint = "PRIVATE_ENDPOINT",
        ResultTruncated = "RESULT_TRUNCATED",
        ScheduleNotRemoved = "SCHEDULE_NOT_REMOVED",
        SsoLookalike = "SSO_LOOKALIKE",
        StalenessUnknown = "STALENESS_UNKNOWN",
        TagsNotSet = "TAGS_NOT_SET",
    }
}

codes! {
    /// The code of a finding.
    FindingCode {
        AccessOk = "ACCESS_OK",
        ActiveGrants = "ACTIVE_GRANTS",
        AuthenticationModeConfigMap = "AUTHENTICATION_MODE_CONFIG_MAP",
        ClusterHealth = "CLUSTER_HEALTH",
        ClusterNotActive = "CLUSTER_NOT_ACTIVE",
        ClusterNotRecoverable = "CLUSTER_NOT_RECOVERABLE",
        EntryStale = "ENTRY_STALE",
        EntryTypeUnsupported = "ENTRY_TYPE_UNSUPPORTED",
        EntryWithoutPolicy = "ENTRY_WITHOUT_POLICY",
        NoAccessEntry = "NO_ACCESS_ENTRY",
        OrphanedEntry = "ORPHANED_ENTRY",
        OtherAdmins = "OTHER_ADMINS",
        PrincipalNotFound = "PRINCIPAL_NOT_FOUND",
        PrivateEndpoint = "PRIVATE_ENDPOINT",
        SsoRoleReplaced = "SSO_ROLE_REPLACED",
    }
}

codes! {
    /// The `detail-type` of an announcement.
    AnnouncementType {
        Granted = "EKS access granted",
        GrantedWithoutApproval = "EKS access granted without approval",
        Extended = "EKS access extended",
        Revoked = "EKS access revoked",
        InProgress = "EKS access in progress",
        Refused = "EKS access refused",
        Failed = "EKS access failed",
    }
}

codes! {
    /// A setting: an environment variable of the function.
    Setting {
        AllowedClusters = "ALLOWED_CLUSTERS",
        AllowedPrincipals = "ALLOWED_PRINCIPALS",
        AllowedPolicies = "ALLOWED_POLICIES",
        AllowedGroups = "ALLOWED_GROUPS",
        AllowedAccounts = "ALLOWED_ACCOUNTS",
        AllowAuthenticationModeChange = "ALLOW_AUTHENTICATION_MODE_CHANGE",
        RequireReason = "REQUIRE_REASON",
        DefaultDuration = "DEFAULT_DURATION",
        MaxDuration = "MAX_DURATION",
        RequireApproval = "REQUIRE_APPROVAL",
        GrantsFrozen = "GRANTS_FROZEN",
        EmergencyMaxDuration = "EMERGENCY_MAX_DURATION",
        ScheduleGroup = "SCHEDULE_GROUP",
        ScheduleRoleArn = "SCHEDULE_ROLE_ARN",
        ScheduleDlqArn = "SCHEDULE_DLQ_ARN",
        EventBus = "EVENT_BUS",
        TargetRoleName = "TARGET_ROLE_NAME",
        TargetExternalId = "TARGET_EXTERNAL_ID",
        LogLevel = "LOG_LEVEL",
    }
}
