import { describe, expect, it } from 'vitest'
import {
  afterRestart,
  faultInPhotos,
  mayRetry,
  photoReferences,
  replacePhoto,
  retryFailed,
  type QueuedPhoto,
} from '../../src/services/photos'

const uploaded = {
  sha256: 'a'.repeat(64),
  original_sha256: 'b'.repeat(64),
  width: 1,
  height: 1,
  size: 9,
  thumbnail: '',
}
const photos: readonly QueuedPhoto[] = [
  { path: '1', state: 'done', uploaded },
  { path: '2', state: 'uploading' },
  { path: '3', state: 'failed', fault: 'photo_quota' },
]

describe('photo queue', () => {
  it('starts a cut-off upload again and leaves the others', () => {
    expect(afterRestart(photos).map((photo) => photo.state)).toEqual(['done', 'waiting', 'failed'])
  })

  it('retries only what failed, forgetting why', () => {
    expect(retryFailed(photos)[2]).toEqual({ path: '3', state: 'waiting' })
    expect(retryFailed(photos)[0]).toBe(photos[0])
  })

  it('offers no second try for a picture that would be refused again', () => {
    const damaged: QueuedPhoto = { path: '4', state: 'failed', fault: 'photo_damaged' }
    expect(mayRetry(damaged)).toBe(false)
    expect(retryFailed([damaged])).toEqual([damaged])
    expect(mayRetry({ path: '5', state: 'failed' })).toBe(true)
    expect(mayRetry({ path: '6', state: 'done', uploaded })).toBe(false)
  })

  it('holds a record up for a photo that could still arrive, not for one that never will', () => {
    expect(faultInPhotos([{ path: '1', state: 'uploading' }])).toBe('uploading')
    expect(faultInPhotos([{ path: '1', state: 'failed' }])).toBe('notUploaded')
    expect(faultInPhotos([{ path: '1', state: 'failed', fault: 'photo_damaged' }])).toBeNull()
    expect(faultInPhotos([{ path: '1', state: 'done', uploaded }])).toBeNull()
  })

  it('changes one photo by its path', () => {
    expect(replacePhoto(photos, { path: '2', state: 'failed' }).map((photo) => photo.state)).toEqual([
      'done',
      'failed',
      'failed',
    ])
  })

  it('names in a record only what a node has, by both digests', () => {
    expect(photoReferences(photos)).toEqual([{ original_sha256: 'b'.repeat(64), sha256: 'a'.repeat(64), size: 9 }])
  })
})
