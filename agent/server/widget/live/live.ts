/** Speaking and listening, loaded when it is first wanted: dictation into the composer, and replies read aloud. */

/** What a dictation tells: the text so far, and its end. */
export interface Told {
  /** The first `settled` characters do not change any more. */
  partial(text: string, settled: number): void;
  final(text: string): void;
  /** It ended without a text. */
  failed(): void;
}

export interface Dictation {
  /** What was said is the message. */
  end(): void;
  /** Nothing was said. */
  cancel(): void;
}

/** Listen to the microphone and have it written down. Rejects where there is no microphone or it may not be used. */
export async function dictate(server: string, session: string, told: Told): Promise<Dictation> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true, channelCount: 1 } });
  const audio = new AudioContext();
  const release = () => {
    for (const track of stream.getTracks()) track.stop();
    void audio.close();
  };
  try {
    await audio.audioWorklet.addModule(`${server}/widget-microphone.js`);
  } catch (error) {
    release();
    throw error;
  }
  const socket = new WebSocket(`${server.replace(/^http/, "ws")}/v1/live`);
  socket.binaryType = "arraybuffer";
  let over = false;
  const finish = (text: string | null) => {
    if (over) return;
    over = true;
    release();
    socket.close();
    if (text === null) told.failed();
    else told.final(text);
  };
  const microphone = new AudioWorkletNode(audio, "storehand-microphone", { numberOfOutputs: 0 });
  // The token goes in a message: addresses are written into logs.
  socket.onopen = () => socket.send(JSON.stringify({ session }));
  socket.onclose = () => finish(null);
  socket.onmessage = ({ data }: MessageEvent<string>) => {
    const message = JSON.parse(data) as { type: string; text: string; settled: number };
    if (message.type === "ready") {
      microphone.port.onmessage = (frame: MessageEvent<ArrayBuffer>) => {
        if (socket.readyState === WebSocket.OPEN && !ended) socket.send(frame.data);
      };
      audio.createMediaStreamSource(stream).connect(microphone);
      void audio.resume();
    } else if (message.type === "partial") told.partial(message.text, message.settled);
    else if (message.type === "final") finish(message.text);
  };
  let ended = false;
  return {
    end() {
      ended = true;
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "end" }));
      else finish(null);
    },
    cancel() {
      if (over) return;
      over = true;
      release();
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "cancel" }));
      socket.close();
    },
  };
}

const SENTENCE = /^[\s\S]*?(?:[.!?](?=\s)|[。！？；]|\n+)/;
const WAIT_MS = 150;

/**
 * Read a reply aloud, sentence by sentence, also while it is still being written: `reply` tells its text so far and whether more comes.
 * Ends when all was read or `signal` is aborted.
 */
export async function readAloud(
  fetchSpeech: (text: string) => Promise<ArrayBuffer | null>,
  reply: () => { text: string; open: boolean },
  signal: AbortSignal,
): Promise<void> {
  const audio = new AudioContext();
  signal.addEventListener("abort", () => void audio.close(), { once: true });
  let read = 0;
  let playing: Promise<unknown> = Promise.resolve();
  while (!signal.aborted) {
    const { text, open } = reply();
    const rest = text.slice(read);
    const sentence = SENTENCE.exec(rest)?.[0] ?? (open ? "" : rest);
    if (!sentence) {
      if (!open) break;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
      continue;
    }
    read += sentence.length;
    // The next sentence is fetched while this one is heard.
    const sound = sentence.trim() ? await fetchSpeech(sentence.trim().slice(0, 600)) : null;
    await playing;
    if (sound && !signal.aborted) playing = play(audio, await audio.decodeAudioData(sound), signal);
  }
  await playing;
  if (!signal.aborted) await audio.close();
}

function play(audio: AudioContext, sound: AudioBuffer, signal: AbortSignal): Promise<void> {
  const source = new AudioBufferSourceNode(audio, { buffer: sound });
  source.connect(audio.destination);
  return new Promise((resolve) => {
    source.onended = () => resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    source.start();
  });
}
