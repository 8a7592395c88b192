# TP2 - groupe B
import numpy as np

rng = np.random.default_rng(3)

def init_params(nx, nh, ny):
    return {
        'Wh': rng.standard_normal((nh, nx)) * 0.3,
        'bh': np.zeros((nh, 1)),
        'Wy': rng.standard_normal((ny, nh)) * 0.3,
        'by': np.zeros((ny, 1)),
    }

def softmax(v):
    ex = [np.exp(t) for t in v]
    tot = sum(ex)
    return np.array([t / tot for t in ex])

def forward(params, X):
    hts, hs, yts, yhs = [], [], [], []
    for x in X:
        a = params['Wh'].dot(x) + params['bh'][:, 0]
        s = np.tanh(a)
        z = params['Wy'].dot(s) + params['by'][:, 0]
        hts.append(a)
        hs.append(s)
        yts.append(z)
        yhs.append(softmax(z))
    outputs = {'X': X, 'htilde': np.array(hts), 'h': np.array(hs),
               'ytilde': np.array(yts), 'yhat': np.array(yhs)}
    return outputs['yhat'], outputs

def loss_accuracy(Yhat, Y):
    total = 0.0
    good = 0
    for p, t in zip(Yhat, Y):
        total -= np.dot(t, np.log(p))
        if np.argmax(p) == np.argmax(t):
            good += 1
    return total / len(Y), 100.0 * good / len(Y)

def backward(params, outputs, Y):
    gWh = np.zeros_like(params['Wh'])
    gWy = np.zeros_like(params['Wy'])
    gbh = np.zeros_like(params['bh'])
    gby = np.zeros_like(params['by'])
    nb = len(Y)
    for i in range(nb):
        x, s, p, t = outputs['X'][i], outputs['h'][i], outputs['yhat'][i], Y[i]
        e = (p - t) / nb
        back = params['Wy'].T.dot(e) * (1 - s * s)
        gWy += np.outer(e, s)
        gby += e[:, None]
        gWh += np.outer(back, x)
        gbh = back[:, None]
    return {'Wh': gWh, 'bh': gbh, 'Wy': gWy, 'by': gby}

def sgd(params, grads, eta):
    return {name: params[name] - eta * grads[name] for name in params}
