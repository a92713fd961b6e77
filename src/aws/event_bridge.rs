//! `EventBridge`: puts one event on a bus in the function's own account and home region.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use super::Connection;
use super::endpoints::Service;
use crate::platform::clock::Deadline;

/// The source of the announcements. Rules match it.
pub const SOURCE: &str = "eks-break-glass";

impl Connection {
    /// Puts an event on a bus, given by its name or ARN.
    ///
    /// # Errors
    /// Why it is not on the bus, in words.
    pub async fn put_events(
        &self,
        bus: &str,
        detail_type: &str,
        detail: &str,
        deadline: Deadline,
    ) -> Result<(), String> {
        let entry = PutEventsRequestEntry::builder()
            .source(SOURCE)
            .detail_type(detail_type)
            .detail(detail)
            .event_bus_name(bus)
            .build();
        let call = self.event_bridge().put_events().entries(entry).send();
        let answer = self.within(Service::EventBridge, call, deadline).await.map_err(|error| error.to_string())?;
        match answer.entries {
            Some(_) if answer.failed_entry_count == 0 => Ok(()),
            Some(entries) => {
                let why = entries.into_iter().find_map(|entry| Some((entry.error_code?, entry.error_message)));
                let (code, message) = why.unwrap_or_default();
                Err(format!("EventBridge refused it: {} ({code})", message.unwrap_or_default()))
            }
            None => Err("EventBridge's answer can't be read".to_owned()),
        }
    }
}
