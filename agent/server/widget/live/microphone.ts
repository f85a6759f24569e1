/** Runs beside the page's own code: the microphone as 16-bit samples, 16 kHz mono, 100 ms at a time. */

declare const sampleRate: number;
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}

const RATE = 16_000;
const FRAME = RATE / 10;

class Microphone extends AudioWorkletProcessor {
  private frame = new Int16Array(FRAME);
  private filled = 0;
  /** The mean of the samples that make one of ours: a browser may not give 16 kHz itself. */
  private sum = 0;
  private count = 0;
  private place = 0;

  process([channels]: Float32Array[][]): boolean {
    for (const sample of channels?.[0] ?? []) {
      this.sum += sample;
      this.count++;
      this.place += RATE;
      if (this.place < sampleRate) continue;
      this.place -= sampleRate;
      this.frame[this.filled++] = Math.max(-1, Math.min(1, this.sum / this.count)) * 32767;
      this.sum = this.count = 0;
      if (this.filled === FRAME) {
        this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
        this.frame = new Int16Array(FRAME);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("storehand-microphone", Microphone);
