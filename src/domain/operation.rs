//! The API operations that this program calls, by the names that AWS gives them.

use super::codes::codes;

codes! {
    /// An API operation, by the name that the API reference gives it.
    Operation {
        GetCallerIdentity,
        AssumeRole,
        GetRole,
        GetUser,
        ListRoles,
        ListUsers,
        ListClusters,
        DescribeCluster,
        UpdateClusterConfig,
        DescribeUpdate,
        ListAccessEntries,
        DescribeAccessEntry,
        CreateAccessEntry,
        DeleteAccessEntry,
        ListAssociatedAccessPolicies,
        AssociateAccessPolicy,
        DisassociateAccessPolicy,
        ListNodegroups,
        DescribeNodegroup,
        ListFargateProfiles,
        DescribeFargateProfile,
        TagResource,
        CreateSchedule,
        GetSchedule,
        UpdateSchedule,
        DeleteSchedule,
        ListSchedules,
    }
}

impl Operation {
    /// The IAM action that allows it.
    #[must_use]
    pub fn iam_action(self) -> String {
        let service = match self {
            Self::GetCallerIdentity | Self::AssumeRole => "sts",
            Self::GetRole | Self::GetUser | Self::ListRoles | Self::ListUsers => "iam",
            schedules if schedules.schedules() => "scheduler",
            _ => "eks",
        };
        format!("{service}:{self}")
    }

    /// The resource that its action is to be allowed on, in words. Source: "Actions, resources, and condition keys" of each service in
    /// the Service Authorization Reference.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::DescribeCluster
            | Self::UpdateClusterConfig
            | Self::DescribeUpdate
            | Self::ListAccessEntries
            | Self::CreateAccessEntry
            | Self::ListNodegroups
            | Self::ListFargateProfiles => "the cluster (`cluster/NAME`)",
            Self::DescribeAccessEntry
            | Self::DeleteAccessEntry
            | Self::ListAssociatedAccessPolicies
            | Self::AssociateAccessPolicy
            | Self::DisassociateAccessPolicy => "the cluster's access entries (`access-entry/NAME/*`)",
            Self::DescribeNodegroup => "the cluster's node groups (`nodegroup/NAME/*`)",
            Self::DescribeFargateProfile => "the cluster's Fargate profiles (`fargateprofile/NAME/*`)",
            Self::TagResource => "the cluster and its access entries (`cluster/NAME`, `access-entry/NAME/*`)",
            Self::AssumeRole => "that role",
            Self::GetRole => "the account's roles (`role/*`)",
            Self::GetUser => "the account's users (`user/*`)",
            Self::CreateSchedule | Self::GetSchedule | Self::UpdateSchedule | Self::DeleteSchedule => {
                "the schedules of `SCHEDULE_GROUP` (`schedule/GROUP/*`)"
            }
            Self::GetCallerIdentity | Self::ListRoles | Self::ListUsers | Self::ListClusters | Self::ListSchedules => {
                "`*`"
            }
        }
    }

    /// Whether it changes something, so that a lost answer leaves a doubt.
    #[must_use]
    pub fn changes(self) -> bool {
        matches!(
            self,
            Self::UpdateClusterConfig
                | Self::CreateAccessEntry
                | Self::DeleteAccessEntry
                | Self::AssociateAccessPolicy
                | Self::DisassociateAccessPolicy
                | Self::TagResource
                | Self::CreateSchedule
                | Self::UpdateSchedule
                | Self::DeleteSchedule
        )
    }

    /// Whether it is about the schedules that revokes wait in.
    #[must_use]
    pub fn schedules(self) -> bool {
        matches!(
            self,
            Self::CreateSchedule
                | Self::GetSchedule
                | Self::UpdateSchedule
                | Self::DeleteSchedule
                | Self::ListSchedules
        )
    }
}
