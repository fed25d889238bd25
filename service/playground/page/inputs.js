// Inputs: a text, or an image from a file, the clipboard or the scenes.

export const textInput = (text) => ({ kind: "text", text, name: text });

/** Read an image file as an input. Throws an Error with a message if the browser cannot decode it. */
export async function imageInput(file, name, address = null) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    URL.revokeObjectURL(url);
    throw new Error("This is not a supported image file (JPEG, PNG or WebP).");
  }
  return { kind: "image", base64: await base64(file), type: file.type, name: name || "image.png", url, address,
    size: [image.naturalWidth, image.naturalHeight] };
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
}

/** The first image file of a drop or paste. */
export const imageFileIn = (transfer) => [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
