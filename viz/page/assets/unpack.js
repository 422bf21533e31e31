/* What stands packed in the page: first the data become text, then the program runs. A browser from before 2023 cannot
   unpack and says so; the picture is there all the same. */
(async () => {
  const text = id => new Response(new Blob([Uint8Array.from(atob(document.getElementById(id).textContent), c => c.charCodeAt(0))])
    .stream().pipeThrough(new DecompressionStream("deflate"))).text();
  const [data, program] = await Promise.all([text("data"), text("program")]);
  document.getElementById("data").textContent = data;
  document.getElementById("program").remove();
  document.body.append(Object.assign(document.createElement("script"), {textContent: program}));
})().catch(() => { document.getElementById("old").hidden = false; });
