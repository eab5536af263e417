// Benchmark of many processes: Camunda's SDK for Node, used as in its README. Lists the clusters once.

const { Camunda8 } = require('@camunda8/sdk')

new Camunda8()
  .getAdminApiClient()
  .getClusters()
  .then((clusters) => console.log(clusters.length))
  .catch((error) => {
    console.error(error)
    process.exit(1)
  })
