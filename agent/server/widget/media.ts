/** Photos and voice notes, made ready in the browser. */

const LONGEST_SIDE_PX = 1600;

/** The photo, or what a video shows now, as a JPEG of a size that search needs, without the place and the time that a camera writes into it. Throws if it is no picture. */
export async function preparePhoto(from: Blob | HTMLVideoElement): Promise<Blob> {
  const picture = await createImageBitmap(from);
  const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const pencil = canvas.getContext("2d")!;
  // A transparent picture gets paper under it, not black.
  pencil.fillStyle = "#fff";
  pencil.fillRect(0, 0, canvas.width, canvas.height);
  pencil.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((jpeg) => (jpeg ? resolve(jpeg) : reject(new Error("the photo could not be written"))), "image/jpeg", 0.88),
  );
}

/** Whether there is a camera that a page may ask for. */
export async function hasCamera(): Promise<boolean> {
  const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []);
  return Boolean(devices?.some((each) => each.kind === "videoinput"));
}

/** Switch the camera on. Rejects where it may not be used. */
export function openCamera(): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: LONGEST_SIDE_PX } } });
}

/** The first picture in what was dropped or pasted. */
export function pictureIn(transfer: DataTransfer | null): File | null {
  return [...(transfer?.files ?? [])].find((file) => file.type.startsWith("image/")) ?? null;
}

const LONGEST_CLIP_MS = 120_000;

/** A recording that is going on: one clip, sent whole or not at all. */
export interface Recording {
  /** The clip; null if it was cancelled. */
  readonly clip: Promise<Blob | null>;
  /** Loudness now, 0 to 1. */
  level(): number;
  finish(): void;
  cancel(): void;
}

/** Start to record. Rejects where there is no microphone or it may not be used. */
export async function record(): Promise<Recording> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  const type = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"].find((each) => MediaRecorder.isTypeSupported(each));
  const recorder = new MediaRecorder(stream, type ? { mimeType: type } : {});
  const audio = new AudioContext();
  const meter = audio.createAnalyser();
  meter.fftSize = 512;
  audio.createMediaStreamSource(stream).connect(meter);
  const wave = new Float32Array(meter.fftSize);
  let cancelled = false;
  const pieces: Blob[] = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const clip = new Promise<Blob | null>((resolve) => {
    recorder.onstop = () => {
      for (const track of stream.getTracks()) track.stop();
      void audio.close();
      clearTimeout(limit);
      resolve(cancelled ? null : new Blob(pieces, { type: recorder.mimeType.split(";")[0] }));
    };
  });
  const end = (cancel: boolean) => {
    cancelled = cancel;
    if (recorder.state !== "inactive") recorder.stop();
  };
  const limit = setTimeout(() => end(false), LONGEST_CLIP_MS);
  recorder.start();
  return {
    clip,
    level() {
      meter.getFloatTimeDomainData(wave);
      return Math.min(1, Math.sqrt(wave.reduce((sum, each) => sum + each * each, 0) / wave.length) * 6);
    },
    finish: () => end(false),
    cancel: () => end(true),
  };
}

/** The clip's file name, whose ending tells the server its form. */
export function clipName(clip: Blob): string {
  return `voice.${clip.type.includes("mp4") ? "m4a" : clip.type.includes("ogg") ? "ogg" : "webm"}`;
}
