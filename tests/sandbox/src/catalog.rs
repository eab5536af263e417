//! Cluster creation parameters: channels with generations, plan types, regions.

use serde_json::{Map, Value, json};

/// Channel. The newest generation is first and is the default.
#[derive(Clone)]
pub(crate) struct Channel {
    pub(crate) uuid: String,
    pub(crate) name: String,
    pub(crate) generations: Vec<Generation>,
}

#[derive(Clone)]
pub(crate) struct Generation {
    pub(crate) uuid: String,
    pub(crate) name: String,
}

pub(crate) struct PlanType {
    pub(crate) uuid: &'static str,
    pub(crate) name: &'static str,
    /// Whether the plan supports dual regions and customer-managed keys.
    pub(crate) enterprise: bool,
    /// Whether clusters of the plan run Optimize.
    pub(crate) optimize: bool,
}

pub(crate) struct Region {
    pub(crate) uuid: &'static str,
    /// Ends with the provider's region code in parentheses.
    pub(crate) name: &'static str,
    pub(crate) provider: &'static str,
    /// Secondary regions for dual-region clusters: option, region, label.
    backups: &'static [(&'static str, &'static str, &'static str)],
}

#[derive(Clone)]
pub(crate) struct Catalog {
    pub(crate) channels: Vec<Channel>,
    pub(crate) plan_types: &'static [PlanType],
    pub(crate) regions: &'static [Region],
}

const PLAN_TYPES: &[PlanType] = &[
    PlanType {
        uuid: "2f8a6c1e-4f0b-4d5e-9c57-0d6b1a7e3c01",
        name: "Enterprise 1x",
        enterprise: true,
        optimize: true,
    },
    PlanType {
        uuid: "8d2c9b74-6a1e-4b38-8f0d-5e9c7a2b4d02",
        name: "Trial",
        enterprise: false,
        optimize: false,
    },
];

const REGIONS: &[Region] = &[
    Region {
        uuid: "5b1e7f90-3c2d-4a68-b7e4-1f9d8c6a0e01",
        name: "North Virginia, North America (us-east-1)",
        provider: "AWS",
        backups: &[(
            "c3a90d52-7e14-4f6b-8a2d-6b5e0f1c9d11",
            "5b1e7f90-3c2d-4a68-b7e4-1f9d8c6a0e02",
            "Ohio, North America (us-east-2)",
        )],
    },
    Region {
        uuid: "5b1e7f90-3c2d-4a68-b7e4-1f9d8c6a0e02",
        name: "Ohio, North America (us-east-2)",
        provider: "AWS",
        backups: &[(
            "c3a90d52-7e14-4f6b-8a2d-6b5e0f1c9d12",
            "5b1e7f90-3c2d-4a68-b7e4-1f9d8c6a0e01",
            "North Virginia, North America (us-east-1)",
        )],
    },
    Region {
        uuid: "5b1e7f90-3c2d-4a68-b7e4-1f9d8c6a0e03",
        name: "Belgium, Europe (europe-west1)",
        provider: "GCP",
        backups: &[],
    },
];

impl Catalog {
    pub(crate) fn new() -> Self {
        let channel = |uuid: &str, name: &str, generations: &[(&str, &str)]| Channel {
            uuid: uuid.into(),
            name: name.into(),
            generations: generations
                .iter()
                .map(|(uuid, name)| Generation {
                    uuid: (*uuid).into(),
                    name: (*name).into(),
                })
                .collect(),
        };
        Self {
            channels: vec![
                channel(
                    "6bdf0d1c-3d5a-4df6-8d03-762682964d01",
                    "Stable",
                    &[
                        ("9f4c2b7a-51d8-4e3c-a0b6-2d7e8f190a01", "Camunda 8.8+gen3"),
                        ("9f4c2b7a-51d8-4e3c-a0b6-2d7e8f190a02", "Camunda 8.7+gen21"),
                    ],
                ),
                channel(
                    "6bdf0d1c-3d5a-4df6-8d03-762682964d02",
                    "Alpha",
                    &[
                        ("9f4c2b7a-51d8-4e3c-a0b6-2d7e8f190b01", "Camunda 8.9-alpha2"),
                        ("9f4c2b7a-51d8-4e3c-a0b6-2d7e8f190b02", "Camunda 8.9-alpha1"),
                    ],
                ),
            ],
            plan_types: PLAN_TYPES,
            regions: REGIONS,
        }
    }

    /// Returns the response body of `GET /clusters/parameters`.
    pub(crate) fn parameters(&self) -> Value {
        let channels: Vec<Value> = self.channels.iter().map(Channel::parameters).collect();
        let plan_types: Vec<Value> = self
            .plan_types
            .iter()
            .map(|plan| json!({ "uuid": plan.uuid, "name": plan.name }))
            .collect();
        let regions: Vec<Value> = self.regions.iter().map(Region::parameters).collect();
        json!({ "channels": channels, "clusterPlanTypes": plan_types, "regions": regions })
    }

    pub(crate) fn channel(&self, uuid: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.uuid == uuid)
    }

    pub(crate) fn channel_mut(&mut self, uuid: &str) -> Option<&mut Channel> {
        self.channels
            .iter_mut()
            .find(|channel| channel.uuid == uuid)
    }

    pub(crate) fn plan_type(&self, uuid: &str) -> Option<&'static PlanType> {
        self.plan_types.iter().find(|plan| plan.uuid == uuid)
    }

    pub(crate) fn region(&self, uuid: &str) -> Option<&'static Region> {
        self.regions.iter().find(|region| region.uuid == uuid)
    }

    /// Returns whether any channel has the generation.
    pub(crate) fn knows_generation(&self, uuid: &str) -> bool {
        self.channels
            .iter()
            .any(|channel| channel.generation(uuid).is_some())
    }
}

impl Catalog {
    /// Returns the generations of each channel, newest first.
    pub(crate) fn published(&self) -> Value {
        let channels = self.channels.iter().map(|channel| {
            let generations = channel.generations.iter().map(Generation::resource);
            (channel.uuid.clone(), generations.collect())
        });
        Value::Object(channels.collect())
    }

    /// Replaces the generations of channels, in the format of [`published`](Self::published).
    pub(crate) fn publish_all(&mut self, channels: &Map<String, Value>) -> Result<(), String> {
        for (uuid, generations) in channels {
            let channel = self
                .channel_mut(uuid)
                .ok_or_else(|| format!("generations: unknown channel \"{uuid}\""))?;
            let parsed = generations.as_array().and_then(|generations| {
                let parse = |generation: &Value| {
                    Some(Generation {
                        uuid: generation["uuid"].as_str()?.to_owned(),
                        name: generation["name"].as_str()?.to_owned(),
                    })
                };
                generations.iter().map(parse).collect::<Option<Vec<_>>>()
            });
            channel.generations = parsed
                .filter(|generations| !generations.is_empty())
                .ok_or("generations must be arrays of objects with \"uuid\" and \"name\"")?;
        }
        Ok(())
    }
}

impl Channel {
    pub(crate) fn generation(&self, uuid: &str) -> Option<&Generation> {
        self.generations
            .iter()
            .find(|generation| generation.uuid == uuid)
    }

    /// Adds a generation as the newest one.
    pub(crate) fn publish(&mut self, uuid: String) {
        let name = format!(
            "Camunda {} preview {}",
            self.name,
            self.generations.len() + 1
        );
        self.generations.insert(0, Generation { uuid, name });
    }

    fn parameters(&self) -> Value {
        let generations: Vec<Value> = self
            .generations
            .iter()
            .map(|generation| {
                json!({
                    "uuid": generation.uuid,
                    "name": generation.name,
                    "classification": "channel",
                })
            })
            .collect();
        let newest = self.generations.first();
        json!({
            "uuid": self.uuid,
            "name": self.name,
            "defaultGeneration": newest.map(Generation::resource),
            "allowedGenerations": generations,
        })
    }
}

impl Generation {
    pub(crate) fn resource(&self) -> Value {
        json!({ "uuid": self.uuid, "name": self.name })
    }
}

impl Region {
    pub(crate) fn resource(&self) -> Value {
        json!({ "uuid": self.uuid, "name": self.name })
    }

    /// Returns the secondary region for the id of an option or of its region.
    pub(crate) fn backup_region(&self, id: &str) -> Option<Value> {
        self.backups
            .iter()
            .find(|(option, region, _)| *option == id || *region == id)
            .map(|(_, region, label)| json!({ "uuid": region, "name": label }))
    }

    fn parameters(&self) -> Value {
        let mut parameters = json!({
            "uuid": self.uuid,
            "name": self.name,
            "provider": self.provider,
        });
        if !self.backups.is_empty() {
            parameters["backups"] = self
                .backups
                .iter()
                .map(|(option, region, label)| {
                    json!({ "uuid": option, "regions": [{ "id": region, "label": label }] })
                })
                .collect();
        }
        parameters
    }
}
