// The openai package: float, base64 (its default), dimensions, and an error of its own.
import OpenAI from "openai";
import {request, caught, print} from "./request.mjs";

const {url, model, texts, missing} = request;
const client = new OpenAI({baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0});
const embed = async (options) => {
  const answer = await client.embeddings.create({model, input: texts, ...options});
  return answer.data.map((entry) => entry.embedding);
};

print({
  vectors: await embed({}),
  floats: await embed({encoding_format: "float"}),
  cut: await embed({dimensions: 64}),
  error: await caught(() => embed({model: missing}), (error) => ({
    own: error instanceof OpenAI.NotFoundError, message: error.message, status: error.status, code: error.code,
  })),
});
