import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { BareRuntime } from './bare-runtime'
import { POLICY } from '../core/log-builder'
// @ts-expect-error plain JavaScript without types
import { buildWeapp, PACKAGE_BYTES_MAX } from '../../build/weapp.mjs'
// @ts-expect-error plain JavaScript without types
import { readProject } from '../../build/project.mjs'

const folder = mkdtempSync(join(tmpdir(), 'linli-weapp-'))
const { app, components, pages } = readProject() as {
  app: { subPackages: { root: string }[] }
  components: string[]
  pages: string[]
}
const genesis = 'ab'.repeat(32)
const compiled = {
  nodes: [{ id: 'street', name: '街道', url: 'https://street.example' }],
  genesis_sha256: genesis,
  policy: POLICY,
}
const estate = {
  id: 'xiangshanyuan',
  name: '香山苑',
  cluster_id: 'q'.repeat(43),
  origin: 'o',
  genesis_sha256: genesis,
  policy: POLICY,
  phone: '021',
  privacy: { version: 1, zh: '说明', en: 'notice' },
  nodes: compiled.nodes,
  server_ms: 1,
}
const cluster = {
  view: 0,
  mode: 'available',
  quorum: 2,
  height: 1,
  size: 1,
  committed_size: 1,
  sealed_size: 1,
  nodes: [{ id: 'street', name: '街道', reachable: true, size: 1, lag: 0 }],
}

let sizes: Record<string, number>
beforeAll(async () => {
  sizes = await buildWeapp(folder, compiled)
})

type Answers = Record<string, unknown>

function start(answers: Answers): BareRuntime {
  const runtime = new BareRuntime(folder, ({ url, success, fail }) => {
    const path = url.replace(/^https:\/\/street\.example\/api\/v1/, '')
    if (path in answers) success?.({ statusCode: 200, data: JSON.stringify(answers[path]), header: {} })
    else fail?.({ errMsg: 'request:fail' })
  })
  runtime.load('app')
  for (const unit of [...components, ...pages]) runtime.load(unit)
  return runtime
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 50))

describe('WeChat build', () => {
  it('keeps the main package and each sub-package under the limit', () => {
    expect(Object.keys(sizes)).toEqual(['main', ...app.subPackages.map((part) => part.root)])
    for (const size of Object.values(sizes)) expect(size).toBeLessThan(PACKAGE_BYTES_MAX)
  })

  it('loads every page and component with no global of a browser and no eval', () => {
    const runtime = start({})
    expect([...runtime.pages.keys()].sort()).toEqual([...pages].sort())
    expect([...runtime.components.keys()].sort()).toEqual([...components].sort())
    expect(runtime.app['onLaunch']).toBeTypeOf('function')
  })

  it('has no eval in it and is not to be passed through ES5, which has no BigInt', () => {
    const scripts = pages.map((page) => readFileSync(join(folder, page + '.js'), 'utf8')).join('')
    expect(scripts).not.toContain('eval(')
    expect(JSON.parse(readFileSync(join(folder, 'project.config.json'), 'utf8'))).toMatchObject({
      appid: 'touristappid',
      setting: { es6: false },
    })
  })

  it('opens the start page and shows estate and ledger state', async () => {
    const page = start({ '/estate': estate, '/cluster': cluster }).open('pages/home/index')
    await settled()
    expect(page.data).toMatchObject({
      view: 'ready',
      estateName: '香山苑',
      lamp: 'all',
      lampText: '三方账本一致',
      helpPhone: '021',
    })
  })

  it('shows the offline state, with a way on, when no node answers', async () => {
    const page = start({}).open('pages/home/index')
    await settled()
    expect(page.data).toMatchObject({ view: 'offline' })
  })

  it('alarms when a node says another policy than the compiled one', async () => {
    const page = start({ '/estate': { ...estate, policy: POLICY + '# other\n' } }).open('pages/home/index')
    await settled()
    expect(page.data).toMatchObject({ view: 'alarm' })
  })

  it('asks for the privacy notice before anything about the person', async () => {
    const runtime = start({ '/estate': estate })
    runtime.open('pages/join/index')
    await settled()
    expect(runtime.urls).toEqual(['/pages/privacy/index?then=join'])
  })
})
