/**
 * Photos of a report: each is stored on the phone when it is chosen and uploaded by itself, so one that fails on a slow
 * line does not hold up the others (product 2.3 E). The record names the cleaned picture that the node answered.
 */

import type { JsonObject } from '../core/canonical'
import { api } from './api'
import type { UploadedPhoto } from './api-types'
import { ApiProblem, NetworkError } from './http'
import { call } from './platform'

export const PHOTOS_MAX = 9

export interface QueuedPhoto {
  /** Where it lies on this phone. */
  readonly path: string
  readonly state: 'waiting' | 'uploading' | 'done' | 'failed'
  readonly uploaded?: UploadedPhoto
  /** Refusal code of a photo that no upload will make good. */
  readonly fault?: string
}

/** Rejects when the person cancels. */
export async function choosePhotos(room: number): Promise<readonly QueuedPhoto[]> {
  const options = { count: room, mediaType: ['image'] as const, sizeType: ['compressed'] as const }
  const { tempFiles } = await call(wx.chooseMedia, options)
  const files = wx.getFileSystemManager()
  return Promise.all(
    tempFiles.map(async ({ tempFilePath }): Promise<QueuedPhoto> => {
      const { savedFilePath } = await call(files.saveFile.bind(files), { tempFilePath })
      return { path: savedFilePath, state: 'waiting' }
    }),
  )
}

/** Uploads what waits or failed, one after another; `changed` is told of every step. */
export async function uploadPhotos(
  current: () => readonly QueuedPhoto[],
  changed: (photo: QueuedPhoto) => void,
): Promise<void> {
  for (;;) {
    const next = current().find((photo) => photo.state === 'waiting')
    if (!next) return
    changed({ ...next, state: 'uploading' })
    changed(await uploadOne(next))
  }
}

async function uploadOne(photo: QueuedPhoto): Promise<QueuedPhoto> {
  try {
    return { path: photo.path, state: 'done', uploaded: await api.uploadPhoto(photo.path) }
  } catch (error) {
    if (error instanceof ApiProblem) return { path: photo.path, state: 'failed', fault: error.code }
    if (error instanceof NetworkError) return { path: photo.path, state: 'failed' }
    throw error
  }
}

/** An upload that was cut off by the app being killed starts again. */
export function afterRestart(photos: readonly QueuedPhoto[]): readonly QueuedPhoto[] {
  return photos.map((photo) => (photo.state === 'uploading' ? { ...photo, state: 'waiting' } : photo))
}

/** Refusals that are about the picture itself: the same picture is refused again. */
const HOPELESS = ['photo_not_readable', 'photo_damaged', 'photo_too_large', 'media_type_unsupported']

export function mayRetry(photo: QueuedPhoto): boolean {
  return photo.state === 'failed' && !HOPELESS.includes(photo.fault ?? '')
}

/** Why a record cannot name these photos yet: none is left out unsaid. A hopeless one was told of when it was refused. */
export function faultInPhotos(photos: readonly QueuedPhoto[]): 'uploading' | 'notUploaded' | null {
  if (photos.some((photo) => photo.state === 'uploading' || photo.state === 'waiting')) return 'uploading'
  return photos.some(mayRetry) ? 'notUploaded' : null
}

export function retryFailed(photos: readonly QueuedPhoto[]): readonly QueuedPhoto[] {
  return photos.map((photo) => (mayRetry(photo) ? { path: photo.path, state: 'waiting' } : photo))
}

export function replacePhoto(photos: readonly QueuedPhoto[], changed: QueuedPhoto): readonly QueuedPhoto[] {
  return photos.map((photo) => (photo.path === changed.path ? changed : photo))
}

export function forgetPhoto(photo: QueuedPhoto): void {
  const files = wx.getFileSystemManager()
  call(files.removeSavedFile.bind(files), { filePath: photo.path }).catch(() => undefined)
}

/** How a record's body names photos: hex digests and the size of the cleaned picture. */
export function photoReferences(photos: readonly QueuedPhoto[]): JsonObject[] {
  return photos.flatMap(({ uploaded }) =>
    uploaded ? [{ original_sha256: uploaded.original_sha256, sha256: uploaded.sha256, size: uploaded.size }] : [],
  )
}
