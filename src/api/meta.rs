//! Information about the service: its egress IP ranges.

use crate::api::admin::AdminClient;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;

api_object! {
    /// IP ranges of outgoing connections of Camunda's products.
    ///
    /// Products other than the Web Modeler are in `extra` if the API lists them; [`IpRanges::iter`]
    /// returns all products.
    response struct IpRanges {
        /// CIDRs of the Web Modeler.
        defaulted web_modeler: Vec<String> = "web-modeler",
    }
}

impl IpRanges {
    /// Iterates over all products with their CIDRs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        let others = self
            .extra
            .iter()
            .filter_map(|(name, value)| Some((name, value.decode().ok()?)));
        std::iter::once(("web-modeler", self.web_modeler.clone())).chain(others)
    }
}

impl<'a> IntoIterator for &'a IpRanges {
    type Item = (&'a str, Vec<String>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

pub(crate) static IP_RANGES: Operation = Operation {
    name: "list egress IP ranges",
    sdk_method: "ip_ranges",
    c_function: "camunda_ip_ranges",
    path: "/meta/ip-ranges",
    response: Some(BodySchema::object::<IpRanges>()),
    authenticated: false,
    doc: "Lists the IP ranges of outgoing connections of Camunda's products. Changes are published \
          24 hours in advance. The only operation without a token.",
    ..Operation::GET_DEFAULTS
};

impl AdminClient {
    /// Lists the IP ranges of outgoing connections of Camunda's products. Changes are published 24
    /// hours in advance. The only operation without a token.
    ///
    /// # Errors
    ///
    /// Those that any call can fail with; see [`ErrorKind`](crate::ErrorKind).
    pub fn ip_ranges(&self) -> Result<IpRanges> {
        self.get(&IP_RANGES, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iter_includes_unknown_products() {
        let ranges: IpRanges =
            serde_json::from_str(r#"{"web-modeler":["1.2.3.4/32"],"connectors":["5.6.7.8/32"]}"#)
                .unwrap();
        let names: Vec<_> = ranges.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["web-modeler", "connectors"]);
    }
}
