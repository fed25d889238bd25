// The ollama package: embed, the route before it, the list of models, and an error of its own.
import {Ollama} from "ollama";
import {request, caught, print} from "./request.mjs";

const {url, model, texts, missing} = request;
const client = new Ollama({host: url});
const embed = async (options) => (await client.embed({model, input: texts, ...options})).embeddings;

print({
  vectors: await embed({}),
  cut: await embed({dimensions: 64}),
  models: (await client.list()).models.map((served) => served.name),
  error: await caught(() => embed({model: missing}), (error) => ({
    own: error.name === "ResponseError", message: error.message, status: error.status_code,
  })),
});
