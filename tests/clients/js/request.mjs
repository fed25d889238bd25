// The arguments of a script, as JSON in its one argument; it prints one line of JSON.
export const request = JSON.parse(process.argv[2]);

export const print = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

export const caught = async (call, tell) => {
  try {
    await call();
  } catch (error) {
    return tell(error);
  }
  return null;
};
