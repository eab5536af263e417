// Independent OAuth server (npm's `oidc-provider`) that grants client credentials and accepts only
// forms. Prints its issuer when it listens, and exits when its standard input is closed.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: "tester",
        client_secret: "made up",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_post",
      },
    ],
    scopes: ["read"],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
    },
    ttl: { ClientCredentials: 600 },
  });
  let requests = 0;
  server.on("request", (request, response) => {
    if (request.url === "/count") {
      response.end(String(requests));
      return;
    }
    requests += 1;
    provider.callback()(request, response);
  });
  console.log(issuer);
});
process.stdin.resume().on("end", () => process.exit(0));
