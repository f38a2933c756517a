/** Reads QR codes from pictures. Loaded only when somebody scans. */

import decodeQr from 'qr/decode.js'

/** Larger pictures are read no better and much slower. */
const SIDE_MAX = 1024
const canvas = document.createElement('canvas')

export function decodeFrame(source: CanvasImageSource, width: number, height: number): string | null {
  const scale = Math.min(1, SIDE_MAX / Math.max(width, height))
  canvas.width = Math.round(width * scale)
  canvas.height = Math.round(height * scale)
  if (canvas.width === 0 || canvas.height === 0) return null
  const context = canvas.getContext('2d', { willReadFrequently: true })!
  context.drawImage(source, 0, 0, canvas.width, canvas.height)
  const { data, width: w, height: h } = context.getImageData(0, 0, canvas.width, canvas.height)
  try {
    return decodeQr({ width: w, height: h, data })
  } catch {
    return null
  }
}

export async function decodeBlob(blob: Blob): Promise<string | null> {
  const bitmap = await createImageBitmap(blob)
  return decodeFrame(bitmap, bitmap.width, bitmap.height)
}
