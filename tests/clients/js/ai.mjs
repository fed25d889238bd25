// The Vercel AI SDK with its provider for servers that speak OpenAI's dialect.
import {createOpenAICompatible} from "@ai-sdk/openai-compatible";
import {APICallError, embed, embedMany} from "ai";
import {request, caught, print} from "./request.mjs";

const {url, model, texts, missing} = request;
const headlight = createOpenAICompatible({name: "headlight", baseURL: `${url}/v1`, apiKey: "unused"});
const many = async (options) => (await embedMany({
  model: headlight.embeddingModel(model), values: texts, maxRetries: 0, ...options,
})).embeddings;

print({
  vectors: await many({}),
  one: (await embed({model: headlight.embeddingModel(model), value: texts[0]})).embedding,
  cut: await many({providerOptions: {headlight: {dimensions: 64}}}),
  error: await caught(() => many({model: headlight.embeddingModel(missing)}), (error) => ({
    own: APICallError.isInstance(error), message: error.message, status: error.statusCode,
  })),
});
