import { FileInput } from '@mantine/core'
import { useState } from 'react'
import { useReread } from '../api/queries'
import { Dialog } from '../parts/Dialog'
import { Form, useForm } from '../parts/Form'
import { Glyph } from '../parts/Glyph'
import { useTell } from '../parts/Toasts'
import { useText } from '../text/language'
import { publish, readSigned, type Signed } from './upload'

interface Draft {
  file: File | null
  signature: File | null
}

/** Hands a signed program to the controller, which looks at the signature before it takes anything. */
export function UploadDialog({ onClose }: { onClose: () => void }) {
  const { t, format } = useText()
  const tell = useTell()
  const reread = useReread()
  const [signed, setSigned] = useState<Signed>()
  const [sent, setSent] = useState<number>()
  const first: Draft = { file: null, signature: null }
  const form = useForm(first, async ({ file }) => {
    if (!file || !signed) return
    setSent(0)
    try {
      const made = await publish(signed, file, setSent)
      await reread('releases')
      tell.done(t('releases.published', { program: made.program, number: made.number }))
      onClose()
    } finally {
      setSent(undefined)
    }
  })
  const { file, signature } = form.values
  const choose = async (given: File | null) => {
    form.set('signature', given)
    setSigned(given ? await readSigned(given) : undefined)
  }
  const otherSize = file && signed && file.size !== signed.size
  return (
    <Dialog title={t('releases.add')} onClose={onClose}>
      <Form form={form} submit={t('releases.upload')} waits={!file || !signed || otherSize === true} onCancel={onClose}>
        <p>{t('releases.addText')}</p>
        <FileInput
          label={t('releases.file')}
          placeholder={t('releases.choose')}
          clearable
          clearButtonProps={{ 'aria-label': t('releases.clear') }}
          required
          value={file}
          onChange={(f) => form.set('file', f)}
          error={otherSize && t('releases.otherSize')}
        />
        <FileInput
          label={t('releases.signature')}
          description={t('releases.signatureHint')}
          placeholder={t('releases.choose')}
          accept=".release,application/json"
          clearable
          clearButtonProps={{ 'aria-label': t('releases.clear') }}
          required
          value={signature}
          onChange={choose}
          error={signature && !signed && t('releases.noSignature', { name: signature.name })}
        />
        {signed && (
          <p className="signed">
            <Glyph name="key" />
            {t('releases.says', { ...signed, size: format.bytes(signed.size) })}
          </p>
        )}
        {sent !== undefined && file && (
          <div className="upload" role="status">
            <progress aria-label={t('releases.progress')} max={file.size} value={sent} />
            <span className="figures">
              {format.bytes(sent)} / {format.bytes(file.size)}
            </span>
          </div>
        )}
      </Form>
    </Dialog>
  )
}
