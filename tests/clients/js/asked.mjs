// What each script is asked, as JSON in its one argument, and how it answers: one line of JSON.
export const asked = JSON.parse(process.argv[2]);

export const print = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

export const caught = async (call, tell) => {
  try {
    await call();
  } catch (error) {
    return tell(error);
  }
  return null;
};
