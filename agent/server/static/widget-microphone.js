// widget/live/microphone.ts
var e = 16e3, t = e / 10, n = class extends AudioWorkletProcessor {
	frame = new Int16Array(t);
	filled = 0;
	sum = 0;
	count = 0;
	place = 0;
	process([n]) {
		for (let r of n?.[0] ?? []) this.sum += r, this.count++, this.place += e, this.place < sampleRate || (this.place -= sampleRate, this.frame[this.filled++] = Math.max(-1, Math.min(1, this.sum / this.count)) * 32767, this.sum = this.count = 0, this.filled === t && (this.port.postMessage(this.frame.buffer, [this.frame.buffer]), this.frame = new Int16Array(t), this.filled = 0));
		return !0;
	}
};
registerProcessor("storehand-microphone", n);
