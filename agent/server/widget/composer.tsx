/** Where the customer writes, adds a photo or speaks. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./icons";
import { clipName, hasCamera, openCamera, pictureIn, preparePhoto, record, type Recording } from "./media";
import { useParts, useWords } from "./parts";
import type { Dictation } from "./live/live";
import { live } from "./voice";
import type { Word } from "./words";

/** `dropped` is the file that was let fall on the panel last. */
export function Composer({ dropped }: { dropped: File | null }) {
  const { chat, server } = useParts();
  const words = useWords();
  const text = chat.draft.value;
  const setText = (said: string) => (chat.draft.value = said);
  const [dictation, setDictation] = useState<Dictation | null>(null);
  const photo = chat.photo.value;
  const trouble = chat.trouble.value;
  const setTrouble = (word: Word | null) => (chat.trouble.value = word && words(word));
  const [sending, setSending] = useState(false);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [withCamera, setWithCamera] = useState(false);
  const [camera, setCamera] = useState<MediaStream | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const running = chat.run.value !== null;
  const ready = chat.state.value === "ready" && !sending;
  const empty = !text.trim() && !photo;
  const open = chat.open.value;

  useEffect(() => {
    // The field grows with its text.
    const area = field.current;
    if (!area) return;
    area.style.blockSize = "auto";
    area.style.blockSize = `${area.scrollHeight}px`;
  }, [text, recording, camera, open]);

  useEffect(() => {
    if (recording || camera) return () => field.current?.focus();
  }, [recording, camera]);

  useEffect(() => {
    if (open) return void hasCamera().then(setWithCamera);
    // Nobody is seen or heard by a chat that is closed.
    setCamera(null);
    recording?.cancel();
  }, [open]);

  const add = async (picture: Blob | HTMLVideoElement | null | undefined) => {
    if (!picture) return;
    setTrouble(null);
    try {
      const prepared = await preparePhoto(picture);
      chat.photo.value = { file: prepared, preview: URL.createObjectURL(prepared) };
    } catch {
      setTrouble("noPicture");
    }
    field.current?.focus();
  };

  useEffect(() => void add(dropped), [dropped]);

  const upload = async (file: Blob, name: string) => {
    setSending(true);
    try {
      return await chat.api.upload(file, name);
    } catch (error) {
      chat.complain(error);
      return null;
    } finally {
      setSending(false);
    }
  };

  const submit = async () => {
    const said = text.trim();
    if (!ready || dictation || empty) return;
    setTrouble(null);
    if (!photo) {
      setText("");
      return chat.send({ text: said });
    }
    const sent = await upload(photo.file, "photo.jpg");
    if (!sent) return;
    setText("");
    chat.photo.value = null;
    return chat.send({ text: said, uploads: [sent.id] }, { kind: "photo", ...photo });
  };

  const look = async () => {
    setTrouble(null);
    await openCamera().then(setCamera, () => setTrouble("noCamera"));
  };

  const speak = async () => {
    setTrouble(null);
    try {
      const begun = await record();
      setRecording(begun);
      const clip = await begun.clip;
      setRecording(null);
      const sent = clip && (await upload(clip, clipName(clip)));
      if (sent) void chat.send({ text: "", uploads: [sent.id] }, { kind: "voice" });
    } catch {
      setTrouble("noMicrophone");
    }
  };

  const dictate = async () => {
    if (dictation) return dictation.end();
    setTrouble(null);
    // Whoever begins to speak is listened to.
    chat.hush();
    if (running) void chat.stop();
    const before = text.trim() && `${text.trim()} `;
    const over = (said: string | null) => {
      setDictation(null);
      if (said !== null) setText(before + said);
      field.current?.focus();
    };
    try {
      const { dictate: listen } = await live(server);
      setDictation(
        await listen(server || location.origin, chat.api.session!.session, {
          partial: (said) => setText(before + said),
          final: over,
          failed: () => {
            over(null);
            setTrouble("unreachable");
          },
        }),
      );
    } catch {
      setTrouble("noMicrophone");
    }
  };

  useEffect(() => {
    if (dictation) return () => dictation.cancel();
  }, [dictation]);

  if (recording) return <Recorder recording={recording} />;
  if (camera) {
    const taken = (picture: HTMLVideoElement | null) => {
      void add(picture);
      setCamera(null);
    };
    return <Viewfinder camera={camera} taken={taken} />;
  }
  return (
    <form class="composer" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
      {trouble !== null && (
        <p class="trouble" role="alert">
          {trouble || words("unreachable")}
        </p>
      )}
      <div class="box">
        {photo && (
          <div class="attach">
            <img src={photo.preview} alt={words("photoSent")} />
            <button type="button" aria-label={words("removePhoto")} onClick={() => (chat.photo.value = null)}>
              <Icon name="close" size={14} />
            </button>
          </div>
        )}
        <textarea
          ref={field}
          rows={1}
          maxLength={4000}
          value={text}
          dir="auto"
          enterkeyhint="send"
          aria-label={words("writeLabel")}
          placeholder={words("write")}
          readOnly={dictation !== null}
          onInput={(event) => setText(event.currentTarget.value)}
          onPaste={(event) => {
            const picture = pictureIn(event.clipboardData);
            if (picture) {
              event.preventDefault();
              void add(picture);
            }
          }}
          onKeyDown={(event) => {
            if (event.key === "Escape" && dictation) {
              event.preventDefault();
              event.stopPropagation();
              setDictation(null);
            }
            // Enter also ends the choice of characters in an input method for Chinese.
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              void submit();
            }
          }}
        />
        <div class="tools">
          <FileButton icon="photo" label={words("photo")} add={add} />
          {matchMedia("(pointer: coarse)").matches ? (
            <FileButton icon="camera" label={words("camera")} add={add} capture="environment" />
          ) : (
            withCamera && (
              <button type="button" class="bare" aria-label={words("camera")} title={words("camera")} onClick={() => void look()}>
                <Icon name="camera" />
              </button>
            )
          )}
          <button type="button" class="bare" aria-label={words("voice")} title={words("voice")} disabled={!ready} onClick={() => void speak()}>
            <Icon name="mic" />
          </button>
          <button
            type="button"
            class={dictation ? "bare dictating" : "bare"}
            aria-label={words(dictation ? "dictating" : "dictate")}
            title={words(dictation ? "dictating" : "dictate")}
            aria-pressed={dictation !== null}
            disabled={chat.state.value !== "ready"}
            onClick={() => void dictate()}
          >
            <Icon name="dictate" />
          </button>
          <span class="space" />
          {running && (
            <button type="button" class="go" aria-label={words("stop")} title={words("stop")} onClick={() => void chat.stop()}>
              <span class="square" />
            </button>
          )}
          {!(running && empty) && (
            <button type="submit" class="go" aria-label={words("send")} disabled={!ready || empty}>
              <Icon name="send" />
            </button>
          )}
        </div>
      </div>
    </form>
  );
}

/** A button for a file; with `capture` a phone's own camera takes it. */
function FileButton({ icon, label, add, capture }: { icon: "photo" | "camera"; label: string; add: (file: File | undefined) => void; capture?: "environment" }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class="bare" aria-label={label} title={label} onClick={() => input.current!.click()}>
        <Icon name={icon} />
      </button>
      <input
        ref={input}
        type="file"
        hidden
        accept="image/*"
        capture={capture}
        onChange={(event) => {
          add(event.currentTarget.files?.[0]);
          event.currentTarget.value = "";
        }}
      />
    </>
  );
}

/** What the camera sees. Gives the video at the moment that is wanted, or null; then the camera is off. */
function Viewfinder({ camera, taken }: { camera: MediaStream; taken: (picture: HTMLVideoElement | null) => void }) {
  const words = useWords();
  const video = useRef<HTMLVideoElement>(null);
  const shutter = useRef<HTMLButtonElement>(null);
  const [ready, setReady] = useState(false);
  useEffect(() => {
    video.current!.srcObject = camera;
    shutter.current!.focus();
    return () => {
      for (const track of camera.getTracks()) track.stop();
    };
  }, [camera]);
  return (
    <div class="composer">
      <div class="box viewfinder" role="group" aria-label={words("camera")} onKeyDown={escaping(() => taken(null))}>
        <video ref={video} autoPlay muted playsInline aria-hidden="true" onLoadedData={() => setReady(true)} />
        <div class="tools">
          <button type="button" class="plain" onClick={() => taken(null)}>
            {words("cameraOff")}
          </button>
          <span class="space" />
          <button type="button" class="main" ref={shutter} aria-disabled={!ready} onClick={() => ready && taken(video.current)}>
            {words("camera")}
          </button>
        </div>
      </div>
    </div>
  );
}

/** Escape leaves this; or the browser would close the panel as well. */
function escaping(leave: () => void) {
  return (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    leave();
  };
}

const BARS = 28;

function Recorder({ recording }: { recording: Recording }) {
  const words = useWords();
  const [levels, setLevels] = useState<number[]>(() => Array<number>(BARS).fill(0));
  const [seconds, setSeconds] = useState(0);
  const send = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    send.current?.focus();
    const begun = Date.now();
    const timer = setInterval(() => {
      setLevels((before) => [...before.slice(1), recording.level()]);
      setSeconds(Math.floor((Date.now() - begun) / 1000));
    }, 90);
    return () => clearInterval(timer);
  }, [recording]);
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return (
    <div class="composer">
      <div class="box recorder" role="group" aria-label={words("recording")} onKeyDown={escaping(recording.cancel)}>
        <button type="button" class="bare" aria-label={words("cancelVoice")} title={words("cancelVoice")} onClick={() => recording.cancel()}>
          <Icon name="trash" />
        </button>
        <span class="light" aria-hidden="true" />
        <span class="time">{time}</span>
        <span class="levels" aria-hidden="true">
          {levels.map((level, place) => (
            <i key={place} style={{ blockSize: `${3 + level * 23}px` }} />
          ))}
        </span>
        <button type="button" class="go" ref={send} aria-label={words("sendVoice")} onClick={() => recording.finish()}>
          <Icon name="send" />
        </button>
      </div>
    </div>
  );
}
