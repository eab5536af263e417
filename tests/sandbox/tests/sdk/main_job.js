// Uses the mock server through @camunda8/sdk: creates a cluster and a client, lists, and deletes.
'use strict'
const assert = require('node:assert')
const { Camunda8 } = require('@camunda8/sdk')

async function main() {
  const admin = new Camunda8().getAdminApiClient()
  const parameters = await admin.getParameters()
  const channel = parameters.channels[0]
  const { clusterId } = await admin.createCluster({
    name: 'orders',
    channelId: channel.uuid,
    generationId: channel.defaultGeneration.uuid,
    regionId: parameters.regions[0].uuid,
    planTypeId: parameters.clusterPlanTypes[0].uuid,
  })
  const clusters = await admin.getClusters()
  assert.deepStrictEqual(
    clusters.map(({ uuid, name }) => ({ uuid, name })),
    [{ uuid: clusterId, name: 'orders' }]
  )
  const deadline = Date.now() + 20_000
  while ((await admin.getCluster(clusterId)).status.ready !== 'Healthy') {
    assert.ok(Date.now() < deadline, 'the cluster does not become healthy')
  }
  const client = await admin.createClient({
    clusterUuid: clusterId,
    clientName: 'worker',
    permissions: ['Zeebe'],
  })
  assert.strictEqual(client.clientSecret.length, 64)
  assert.strictEqual((await admin.getClients(clusterId)).length, 1)
  await admin.deleteClient(clusterId, client.clientId)
  await admin.deleteCluster(clusterId)
  console.log('done')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
