// Camunda's SDK for Node, used as in its README. Arguments: work (get or list), number of repetitions.

const { Camunda8 } = require('@camunda8/sdk')

const [work, times] = [process.argv[2], Number(process.argv[3])]
let clusters = 0
let bytes = 0

function lookAt(cluster) {
  clusters += 1
  bytes +=
    cluster.uuid.length +
    cluster.name.length +
    cluster.generation.name.length +
    cluster.region.name.length +
    cluster.status.ready.length
}

async function main() {
  const admin = new Camunda8().getAdminApiClient()
  for (let i = 0; i < times; i++) {
    if (work === 'get') lookAt(await admin.getCluster(process.env.BENCH_CLUSTER))
    else (await admin.getClusters()).forEach(lookAt)
  }
  console.log(clusters, bytes)
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
